/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* Should somebody have put a pipe there, opening it must not wait for a writer. */
int
secret_open(const char *path)
{
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* What others may have read is no secret. */
static char *
secret_refused(int fd, const char *path, enum secret_care care)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return mem_printf("%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return mem_printf("%s: is not a regular file", path);
	if (care == SECRET_OPERATORS && (st.st_mode & 07) != 0)
		log_warn("%s: has mode %04o: everybody on this machine may read it", path, st.st_mode & 07777U);
	if (care == SECRET_OURS && (st.st_mode & 07777 & ~0600U) != 0)
		return mem_printf("%s: has mode %04o, which is wider than 0600; others may have read the key", path,
		    st.st_mode & 07777U);
	return NULL;
}

bool
secret_read(struct secret *s, int fd, const char *path, enum secret_care care, char **why)
{
	ssize_t got;

	s->n = 0;
	*why = secret_refused(fd, path, care);
	if (*why != NULL)
		return false;
	got = file_read(fd, s->text, sizeof s->text);
	s->n = got > 0 ? (size_t)got : 0;
	if (got == -1)
		*why = mem_printf("%s: %s", path, strerror(errno));
	else if (s->n > SECRET_BYTES)
		*why = mem_printf("%s: is longer than %d bytes", path, SECRET_BYTES);
	else if (care == SECRET_OPERATORS && secret_alone(s).n == 0)
		*why = mem_printf("%s: is empty", path);
	else if (care == SECRET_OPERATORS && secret_alone(s).n < SECRET_SHORT)
		log_warn("%s: has only %zu bytes, and can be guessed", path, secret_alone(s).n);
	return *why == NULL;
}

struct slice
secret_alone(const struct secret *s)
{
	struct slice text = slice_make(s->text, s->n);

	if (text.n == 0 || text.p[text.n - 1] != '\n')
		return text;
	text.n--;
	if (text.n != 0 && text.p[text.n - 1] == '\r')
		text.n--;
	return text;
}

void
secret_wipe(struct secret *s)
{
	explicit_bzero(s, sizeof *s);
}
