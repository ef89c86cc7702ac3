/* SPDX-License-Identifier: BSD-2-Clause */
/* stickyd: options, configuration, run. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/control.h"
#include "run/upgrade.h"

#define DEFAULT_FILE SYSCONFDIR "/stickyd/stickyd.ini"

enum { OPTION_LISTEN = 256, OPTION_GATEWAY };

struct options {
	struct conf_options conf;
	const char **listen, **gateway;
	bool check, print, verbose;
	int done;		/* -1: go on; else the exit status */
};

static void
usage(FILE *to)
{
	fputs("usage: stickyd [-c FILE] [-t] [-T] [-v] [-V] [-h] [--listen A:P --gateway A:P ...]\n"
	      "  -c FILE        the configuration; " DEFAULT_FILE " where not given\n"
	      "  -t             check the configuration and stop: 0 good, 1 not\n"
	      "  -T             print the effective configuration and stop\n"
	      "  -v             log at level debug\n"
	      "  -V             print the version and stop\n"
	      "  -h             print this and stop\n"
	      "  --listen A:P   no file: listen here; may be repeated\n"
	      "  --gateway A:P  no file: a gateway of the only pool; may be repeated\n",
	    to);
}

static void
options_add(const char ***list, size_t *n, const char *text)
{
	*list = mem_realloc(*list, (*n + 1) * sizeof **list);
	(*list)[(*n)++] = text;
}

static void
options_read(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {
		{ "listen", required_argument, NULL, OPTION_LISTEN },
		{ "gateway", required_argument, NULL, OPTION_GATEWAY },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	*o = (struct options){ .done = -1 };
	while ((option = getopt_long(argc, argv, "c:tTvVh", known, NULL)) != -1) {
		switch (option) {
		case 'c':
			o->conf.file = optarg;
			break;
		case 't':
			o->check = true;
			break;
		case 'T':
			o->print = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'V':
			puts("stickyd " PACKAGE_VERSION);
			o->done = 0;
			return;
		case 'h':
			usage(stdout);
			o->done = 0;
			return;
		case OPTION_LISTEN:
			options_add(&o->listen, &o->conf.listens, optarg);
			break;
		case OPTION_GATEWAY:
			options_add(&o->gateway, &o->conf.gateways, optarg);
			break;
		default:
			usage(stderr);
			o->done = 1;
			return;
		}
	}
	o->conf.listen = o->listen;
	o->conf.gateway = o->gateway;
	if (optind < argc) {
		fprintf(stderr, "stickyd: what is '%s'?\n", argv[optind]);
		usage(stderr);
		o->done = 1;
	} else if (o->conf.listens != 0 || o->conf.gateways != 0) {
		if (o->conf.file != NULL) {
			fputs("stickyd: --listen and --gateway are in place of a file: give either\n", stderr);
			o->done = 1;
		}
	} else if (o->conf.file == NULL) {
		o->conf.file = DEFAULT_FILE;
	}
}

static void
on_mistake(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "stickyd: %s\n", line);
}

/* Takes over the configuration. */
static int
run(const struct options *o, struct conf *cf)
{
	struct heritage *h = NULL;
	struct daemon *d;
	int status = 0;

	log_set_level(o->verbose ? LOG_LEVEL_DEBUG : (enum log_level)cf->log.level);
	if (o->print && !o->check) {
		conf_print(cf, stdout);
		conf_free(cf);
		return 0;
	}
	if (!o->check && !heritage_take(&h)) {
		conf_free(cf);
		return 1;
	}
	d = daemon_prepare(cf, o->check, on_mistake, NULL);
	if (d == NULL) {
		heritage_free(h);
		return 1;
	}
	if (o->print)
		conf_print(d->edition->conf, stdout);
	d->verbose = o->verbose;
	if (!o->check)
		status = daemon_open(d, h != NULL, on_mistake, NULL) ? control_run(d, &o->conf, h) : 1;
	daemon_free(d);
	heritage_free(h);
	return status;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct conf *cf = NULL;
	bool good;
	int status;

	upgrade_remember(argv);
	options_read(&o, argc, argv);
	status = o.done;
	if (status == -1) {
		cf = conf_load_anyway(&o.conf, &good, on_mistake, NULL);
		status = good ? run(&o, cf) : 1;
		if (!good && cf != NULL)
			daemon_check_parts(cf, on_mistake, NULL);
		if (!good)
			conf_free(cf);
	}
	free(o.listen);
	free(o.gateway);
	return status;
}
