/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the schema of the configuration, for tests/scripts/check-schema. */
#include "conf/conf.h"

int
main(void)
{
	conf_print_schema(stdout);
	return ferror(stdout) || fclose(stdout) != 0;
}
