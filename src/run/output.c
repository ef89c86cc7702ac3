/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A standard stream may be shared with other programs, so its O_NONBLOCK is not ours to set: a socket is asked not to
 * wait call by call, and of a pipe or a terminal we ask for room first, and write no more than it then takes without
 * waiting.
 */
#include "run/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#endif

#include "base/mem.h"

#define OUTPUT_PIECES 64	/* in one system call */
#define OUTPUT_MODE 0640
#define NO_JOURNAL "journal: built without systemd"
#define OUTPUT_TEXT 16384	/* of one entry in the journal: as long as a line of the access log */

enum output_kind { OUTPUT_FILE, OUTPUT_SOCKET, OUTPUT_PIPE, OUTPUT_SYSLOG, OUTPUT_JOURNAL };

struct output {
	enum output_kind kind;
	int fd;			/* -1 for those that have none */
	char *file;		/* NULL: a standard stream, or none at all */
	const char *name;
};

static const int output_priorities[] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,  [LOG_LEVEL_WARN] = LOG_WARNING, [LOG_LEVEL_NOTICE] = LOG_NOTICE,
	[LOG_LEVEL_INFO] = LOG_INFO,  [LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

/* O_NONBLOCK is for a named pipe: one without a reader fails to open rather than wait for it. */
static int
output_open_file(const char *file)
{
	return open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, OUTPUT_MODE);
}

static enum output_kind
output_kind_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return OUTPUT_FILE;
	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? OUTPUT_SOCKET : OUTPUT_PIPE;
}

#ifdef HAVE_SYSTEMD

/* systemd says which socket it connected to the journal (systemd.exec(5), $JOURNAL_STREAM). */
static bool
output_is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
	    device == st.st_dev && inode == st.st_ino;
}

static bool
output_send_journal(int priority, struct slice text)
{
	char level[] = { 'P', 'R', 'I', 'O', 'R', 'I', 'T', 'Y', '=', (char)('0' + priority) };
	char message[sizeof "MESSAGE=" + OUTPUT_TEXT];
	struct iovec field[] = {
		{ "SYSLOG_IDENTIFIER=stickyd", sizeof "SYSLOG_IDENTIFIER=stickyd" - 1 },
		{ level, sizeof level },
		{ message, sizeof "MESSAGE=" - 1 },
	};
	int e;

	text = slice_head(text, OUTPUT_TEXT);
	memcpy(message, "MESSAGE=", sizeof "MESSAGE=" - 1);
	memcpy(message + field[2].iov_len, text.p, text.n);
	field[2].iov_len += text.n;
	e = sd_journal_sendv(field, COUNT(field));
	errno = -e;
	return e >= 0;
}

#else

static bool
output_is_journal(int fd)
{
	(void)fd;
	return false;
}

static bool
output_send_journal(int priority, struct slice text)
{
	(void)priority;
	(void)text;
	check_failed(__FILE__, __LINE__, "no output of this kind was opened");
}

#endif

static void
output_set_stream(struct output *o, int fd, const char *name)
{
	o->fd = fd;
	o->name = name;
	o->kind = output_kind_of(fd);
}

static bool
output_set_file(struct output *o, const char *file, char **why)
{
	o->file = mem_strdup(file);
	o->name = o->file;
	o->fd = output_open_file(file);
	if (o->fd == -1) {
		*why = mem_printf("%s: %s", file, strerror(errno));
		return false;
	}
	o->kind = output_kind_of(o->fd);
	return true;
}

static bool
output_set_journal(struct output *o, char **why)
{
	o->kind = OUTPUT_JOURNAL;
	o->name = "journal";
#ifdef HAVE_SYSTEMD
	(void)why;
	return true;
#else
	*why = mem_strdup(NO_JOURNAL);
	return false;
#endif
}

static void
output_set_syslog(struct output *o)
{
	o->kind = OUTPUT_SYSLOG;
	o->name = "syslog";
	openlog("stickyd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

struct output *
output_open(enum conf_log_target target, const char *file, char **why)
{
	struct output *o = mem_zalloc(sizeof *o);
	bool ok = true;

	o->fd = -1;
	switch (target) {
	case CONF_LOG_OFF:
		check_failed(__FILE__, __LINE__, "an output that is off is not opened");
	case CONF_LOG_STDOUT:
		output_set_stream(o, STDOUT_FILENO, "stdout");
		break;
	case CONF_LOG_STDERR:
		output_set_stream(o, STDERR_FILENO, "stderr");
		if (output_is_journal(STDERR_FILENO))
			ok = output_set_journal(o, why);
		break;
	case CONF_LOG_SYSLOG:
		output_set_syslog(o);
		break;
	case CONF_LOG_JOURNAL:
		ok = output_set_journal(o, why);
		break;
	case CONF_LOG_FILE:
		ok = output_set_file(o, file, why);
		break;
	}
	if (!ok) {
		output_close(o);
		return NULL;
	}
	return o;
}

/* A file that is there, or a directory in which it can be made. */
static bool
output_check_file(const char *file)
{
	char *directory;
	bool good;

	if (access(file, W_OK) == 0)
		return true;
	if (errno != ENOENT)
		return false;
	directory = mem_slicedup(slice_make(file, (size_t)(strrchr(file, '/') - file) + 1));
	good = access(directory, W_OK | X_OK) == 0;
	free(directory);
	return good;
}

bool
output_check(enum conf_log_target target, const char *file, char **why)
{
#ifndef HAVE_SYSTEMD
	if (target == CONF_LOG_JOURNAL) {
		*why = mem_strdup(NO_JOURNAL);
		return false;
	}
#endif
	if (target != CONF_LOG_FILE || output_check_file(file))
		return true;
	*why = mem_printf("%s: %s", file, strerror(errno));
	return false;
}

void
output_close(struct output *o)
{
	if (o == NULL)
		return;
	if (o->file != NULL && o->fd != -1)
		close(o->fd);
	free(o->file);
	free(o);
}

bool
output_wants_mark(const struct output *o)
{
	return o->kind == OUTPUT_SYSLOG || o->kind == OUTPUT_JOURNAL;
}

int
output_fd(const struct output *o)
{
	return o->fd;
}

const char *
output_name(const struct output *o)
{
	return o->name;
}

/* The pieces from byte `from` on. */
static int
output_iov(const struct slice *piece, size_t pieces, size_t from, struct iovec iov[OUTPUT_PIECES])
{
	int n = 0;

	for (size_t i = 0; i < pieces && n < OUTPUT_PIECES; i++) {
		struct slice rest = slice_skip(piece[i], from);

		from -= piece[i].n - rest.n;
		if (rest.n != 0)
			iov[n++] = (struct iovec){ (void *)rest.p, rest.n };
	}
	return n;
}

/* Whole lines where that can be, as others may write to the same pipe; not more than a pipe with room takes at
 * once. */
static size_t
output_pipe_piece(const struct iovec *iov)
{
	const char *end;

	if (iov->iov_len <= PIPE_BUF)
		return iov->iov_len;
	end = memrchr(iov->iov_base, '\n', PIPE_BUF);
	return end != NULL ? (size_t)(end + 1 - (const char *)iov->iov_base) : PIPE_BUF;
}

static ssize_t
output_put_pipe(int fd, const struct iovec *iov)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	if (poll(&room, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, iov->iov_base, output_pipe_piece(iov));
}

/* One system call's worth; as write(2) answers. */
static ssize_t
output_put(const struct output *o, struct iovec *iov, int n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };

	switch (o->kind) {
	case OUTPUT_FILE:
		return writev(o->fd, iov, n);
	case OUTPUT_SOCKET:
		return sendmsg(o->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	default:
		return output_put_pipe(o->fd, iov);
	}
}

static enum output_result
output_write_bytes(struct output *o, const struct slice *piece, size_t pieces, size_t *taken)
{
	struct iovec iov[OUTPUT_PIECES];
	int n;

	while ((n = output_iov(piece, pieces, *taken, iov)) != 0) {
		ssize_t put = output_put(o, iov, n);

		if (put > 0)
			*taken += (size_t)put;
		else if (put == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return OUTPUT_BLOCKED;
		else if (put == -1 && errno != EINTR)
			return OUTPUT_FAILED;
	}
	return OUTPUT_DONE;
}

/* line is without its newline */
static bool
output_send(const struct output *o, struct slice line)
{
	int priority = LOG_INFO;

	if (line.n != 0 && (unsigned char)line.p[0] - 1U < COUNT(output_priorities)) {
		priority = output_priorities[line.p[0] - 1];
		line = slice_skip(line, 1);
	}
	if (o->kind == OUTPUT_JOURNAL)
		return output_send_journal(priority, line);
	syslog(priority, "%.*s", SLICE_FMT(line));
	return true;
}

static enum output_result
output_write_lines(struct output *o, const struct slice *piece, size_t pieces, size_t *taken)
{
	for (size_t i = 0; i < pieces; i++) {
		struct slice rest = piece[i];

		while (rest.n != 0) {
			struct slice line = slice_cut(&rest, '\n');

			if (!output_send(o, line))
				return OUTPUT_FAILED;
			*taken += line.n + 1;
		}
	}
	return OUTPUT_DONE;
}

enum output_result
output_write(struct output *o, const struct slice *piece, size_t pieces, size_t *taken)
{
	*taken = 0;
	if (output_wants_mark(o))
		return output_write_lines(o, piece, pieces, taken);
	return output_write_bytes(o, piece, pieces, taken);
}

bool
output_reopen(struct output *o)
{
	int fd;

	if (o->file == NULL)
		return true;
	fd = output_open_file(o->file);
	if (fd == -1)
		return false;
	close(o->fd);
	o->fd = fd;
	o->kind = output_kind_of(fd);
	return true;
}

bool
output_chown(struct output *o, unsigned uid, unsigned gid)
{
	return o->file == NULL || o->kind != OUTPUT_FILE || fchown(o->fd, uid, gid) == 0;
}
