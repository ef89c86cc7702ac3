/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A standard stream may be shared with other programs, so its O_NONBLOCK is not ours to set: a socket is asked not to
 * wait call by call, and of a pipe or a terminal we ask for room first, and write no more than it then takes without
 * waiting.
 */
#include "log/output.h"

#include <ctype.h>
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

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "log/access.h"

#define OUTPUT_PIECES 64	/* in one system call */
#define OUTPUT_MODE 0640
#define NO_JOURNAL "journal: built without systemd"
#define FIELD_PREFIX "STICKYD_"
#define FIELD_NAME 32		/* with the prefix and the equals sign */

_Static_assert(ACCESS_LINE <= OUTPUT_LINE, "an access line is none too long");

enum output_kind { OUTPUT_FILE, OUTPUT_SOCKET, OUTPUT_PIPE, OUTPUT_SYSLOG, OUTPUT_JOURNAL };

struct output {
	enum output_kind kind;
	int fd;			/* -1 for those that have none */
	char *file;		/* NULL: a standard stream, or none at all */
	const char *name;
	/* Of a line that is not written to its end. */
	size_t part_n;		/* so much of it is written, or is to be written again: the first */
	size_t owed;		/* bytes, into a file that was opened since; */
	size_t paid;		/* of which these are there */
	char part[OUTPUT_LINE];
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

struct entry {
	struct iovec field[3 + ACCESS_FACTS];
	int fields;
	char text[OUTPUT_LINE + sizeof "MESSAGE=" + ACCESS_FACTS * FIELD_NAME + ACCESS_LINE];
	struct buf rest;
};

static void
entry_add(struct entry *e, struct slice name, struct slice value)
{
	size_t begin = e->rest.n;

	buf_add(&e->rest, name);
	buf_byte(&e->rest, '=');
	buf_add(&e->rest, value);
	must(!e->rest.full);
	e->field[e->fields++] = (struct iovec){ e->rest.p + begin, e->rest.n - begin };
}

/* A field's name is upper case (systemd.journal-fields(7)). */
static void
entry_add_fact(struct entry *e, const struct access_fact *fact)
{
	char text[FIELD_NAME];
	struct buf name = buf_of(text, sizeof text);

	buf_lit(&name, FIELD_PREFIX);
	for (size_t i = 0; i < fact->name.n; i++)
		buf_byte(&name, (char)toupper((unsigned char)fact->name.p[i]));
	entry_add(e, buf_slice(&name), fact->value);
}

static bool
output_send_journal(int priority, struct slice text, bool is_access)
{
	char level = (char)('0' + priority);
	struct access_fact fact[ACCESS_FACTS];
	size_t facts = is_access ? access_facts(text, fact) : 0;
	struct entry e;
	int failed;

	e.fields = 0;
	e.rest = buf_of(e.text, sizeof e.text);
	entry_add(&e, SLICE_LIT("SYSLOG_IDENTIFIER"), SLICE_LIT("stickyd"));
	entry_add(&e, SLICE_LIT("PRIORITY"), slice_make(&level, 1));
	entry_add(&e, SLICE_LIT("MESSAGE"), slice_head(text, OUTPUT_LINE));
	for (size_t i = 0; i < facts; i++)
		entry_add_fact(&e, &fact[i]);
	failed = sd_journal_sendv(e.field, e.fields);
	errno = -failed;
	return failed >= 0;
}

#else

static bool
output_is_journal(int fd)
{
	(void)fd;
	return false;
}

static bool
output_send_journal(int priority, struct slice text, bool is_access)
{
	(void)priority;
	(void)text;
	(void)is_access;
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

static bool
output_is_for_lines(const struct output *o)
{
	return o->kind == OUTPUT_SYSLOG || o->kind == OUTPUT_JOURNAL;
}

/* ---- bytes ---- */

/* No line has such a byte but for its mark: log.h escapes them. */
static bool
begins_with_mark(struct slice s)
{
	return s.n != 0 && (unsigned char)s.p[0] - 1U < COUNT(output_priorities);
}

/* What is written of a piece in one stretch: all, or a line without its mark. Takes it off the piece. */
static struct slice
stretch_take(struct slice *rest, bool marked)
{
	struct slice stretch = *rest;
	const char *end;

	if (marked && begins_with_mark(*rest))
		stretch = slice_skip(*rest, 1);
	end = marked ? memchr(stretch.p, '\n', stretch.n) : NULL;
	if (end != NULL)
		stretch.n = (size_t)(end + 1 - stretch.p);
	*rest = slice_skip(*rest, (size_t)(stretch.p + stretch.n - rest->p));
	return stretch;
}

/* The pieces from byte `from` on. */
static int
output_iov(const struct slice *piece, size_t pieces, size_t from, bool marked, struct iovec iov[OUTPUT_PIECES])
{
	int n = 0;

	for (size_t i = 0; i < pieces; i++) {
		struct slice rest = slice_skip(piece[i], from);

		from -= piece[i].n - rest.n;
		while (rest.n != 0 && n < OUTPUT_PIECES) {
			struct slice stretch = stretch_take(&rest, marked);

			iov[n++] = (struct iovec){ (void *)(uintptr_t)stretch.p, stretch.n };
		}
	}
	return n;
}

/* Where in the iov the first `put` bytes end. */
static const char *
output_end_of(const struct iovec *iov, size_t put)
{
	while (put > iov->iov_len) {
		put -= iov->iov_len;
		iov++;
	}
	return (const char *)iov->iov_base + put;
}

/* What was dealt with up to byte `from` now is up to `end`: how many bytes are that? Notes of which line it is a
 * part; a piece begins with a line, unless it is the rest of that. */
static size_t
output_note(struct output *o, const struct slice *piece, size_t from, const char *end)
{
	size_t before = 0, i = 0;
	struct slice new;
	const char *newline;

	for (; !(end > piece[i].p && end <= piece[i].p + piece[i].n); i++)
		before += piece[i].n;
	new = slice_skip(slice_make(piece[i].p, (size_t)(end - piece[i].p)), from > before ? from - before : 0);
	newline = memrchr(new.p, '\n', new.n);
	if (newline != NULL || (i != 0 && from <= before))
		o->part_n = 0;
	if (newline != NULL)
		new = slice_skip(new, (size_t)(newline + 1 - new.p));
	if (begins_with_mark(new))
		new = slice_skip(new, 1);
	new = slice_head(new, OUTPUT_LINE - o->part_n);
	if (new.n != 0)
		memcpy(o->part + o->part_n, new.p, new.n);
	o->part_n += new.n;
	return before + (size_t)(end - piece[i].p);
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

/* Some of it; as write(2) failed where it is not done. */
static enum output_result
output_try(const struct output *o, struct iovec *iov, int n, size_t *put)
{
	ssize_t done = output_put(o, iov, n);

	*put = done > 0 ? (size_t)done : 0;
	if (done >= 0 || errno == EINTR)
		return OUTPUT_DONE;
	return errno == EAGAIN || errno == EWOULDBLOCK ? OUTPUT_BLOCKED : OUTPUT_FAILED;
}

/* The beginning of a line that went to another file. */
static enum output_result
output_pay(struct output *o)
{
	enum output_result r = OUTPUT_DONE;

	while (r == OUTPUT_DONE && o->paid < o->owed) {
		struct iovec rest = { o->part + o->paid, o->owed - o->paid };
		size_t put;

		r = output_try(o, &rest, 1, &put);
		o->paid += put;
	}
	if (r == OUTPUT_DONE)
		o->owed = o->paid = 0;
	return r;
}

static enum output_result
output_write_bytes(struct output *o, const struct slice *piece, size_t pieces, bool marked, size_t *taken)
{
	enum output_result r = output_pay(o);
	struct iovec iov[OUTPUT_PIECES];
	size_t put;
	int n;

	while (r == OUTPUT_DONE && (n = output_iov(piece, pieces, *taken, marked, iov)) != 0) {
		r = output_try(o, iov, n, &put);
		if (put != 0)
			*taken = output_note(o, piece, *taken, output_end_of(iov, put));
	}
	return r;
}

/* ---- lines ---- */

/* What stands before its text. */
static size_t
marked_prefix(char mark)
{
	return 1 + CLOCK_TEXT + 1 + strlen(log_level_name((enum log_level)(mark - 1))) + 1;
}

/* line is without its newline */
static bool
output_send(const struct output *o, struct slice line)
{
	bool marked = begins_with_mark(line);
	int priority = marked ? output_priorities[line.p[0] - 1] : LOG_INFO;

	if (marked)
		line = slice_skip(line, marked_prefix(line.p[0]));
	if (o->kind == OUTPUT_JOURNAL)
		return output_send_journal(priority, line, !marked);
	syslog(priority, "%.*s", SLICE_FMT(line));
	return true;
}

/* The rest of a line that another output had begun. */
static bool
output_send_joined(struct output *o, struct slice rest)
{
	rest = slice_head(rest, OUTPUT_LINE - o->part_n);
	memcpy(o->part + o->part_n, rest.p, rest.n);
	if (!output_send(o, slice_make(o->part, o->part_n + rest.n)))
		return false;
	o->part_n = o->owed = 0;
	return true;
}

static enum output_result
output_write_lines(struct output *o, const struct slice *piece, size_t pieces, size_t *taken)
{
	for (size_t i = 0; i < pieces; i++) {
		struct slice rest = piece[i];

		while (rest.n != 0) {
			struct slice line = slice_cut(&rest, '\n');

			if (o->part_n != 0 ? !output_send_joined(o, line) : !output_send(o, line))
				return OUTPUT_FAILED;
			*taken += line.n + 1;
		}
	}
	return OUTPUT_DONE;
}

enum output_result
output_write(struct output *o, const struct slice *piece, size_t pieces, bool marked, size_t *taken)
{
	*taken = 0;
	if (output_is_for_lines(o))
		return output_write_lines(o, piece, pieces, taken);
	return output_write_bytes(o, piece, pieces, marked, taken);
}

bool
output_is_torn(const struct output *o)
{
	return o->part_n != 0;
}

void
output_inherit(struct output *o, const struct output *before)
{
	memcpy(o->part, before->part, before->part_n);
	o->part_n = o->owed = before->part_n;
	o->paid = 0;
}

bool
output_is_lost(const struct output *o)
{
	struct stat st;

	return o->file != NULL && o->kind == OUTPUT_FILE && fstat(o->fd, &st) == 0 && st.st_nlink == 0;
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
	o->owed = o->part_n;
	o->paid = 0;
	return true;
}

bool
output_chown(struct output *o, unsigned uid, unsigned gid)
{
	return o->file == NULL || o->kind != OUTPUT_FILE || fchown(o->fd, uid, gid) == 0;
}
