/* SPDX-License-Identifier: BSD-2-Clause */
/* The answer is gathered until the connection ends, and then taken apart by the parsers that the proxy has. */
#include "ctl/ask.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/body.h"
#include "http/byte.h"
#include "http/h1.h"
#include "net/unixsock.h"

#define DEFAULT_PATH "/run/stickyd/admin.sock"
#define SEND_S 30
#define ANSWER_MAX (64 << 20)
#define READ_BYTES 65536

/* ---- the connection ---- */

/* Whose it is, as far as one can see. */
static char *
owner_of(const char *path)
{
	struct passwd *user;
	struct group *group;
	struct stat st;
	char *name, *text;

	if (stat(path, &st) == -1)
		return mem_strdup("its directory lets only others in");
	user = getpwuid(st.st_uid);
	name = user != NULL ? mem_printf("'%s'", user->pw_name) : mem_printf("%u", (unsigned)st.st_uid);
	group = getgrgid(st.st_gid);
	text = group != NULL ? mem_printf("it is for user %s and group '%s'", name, group->gr_name)
	    : mem_printf("it is for user %s and group %u", name, (unsigned)st.st_gid);
	free(name);
	return text;
}

static char *
why_not_connected(const char *path, int error)
{
	char *owner, *why;

	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return mem_printf("cannot connect to %s: %s: is stickyd running? -s SOCKET says where its socket is",
		    path, strerror(error));
	case EACCES:
		owner = owner_of(path);
		why = mem_printf("cannot connect to %s: %s: %s: be one of these, or root", path, strerror(error),
		    owner);
		free(owner);
		return why;
	default:
		return mem_printf("cannot connect to %s: %s", path, strerror(error));
	}
}

static int
connect_to(const char *path, char **why)
{
	int fd = unixsock_connect(path);

	if (fd == -1)
		*why = why_not_connected(path, errno);
	return fd;
}

/* Of the user's own stickyd; both sentences where that is neither. */
static int
connect_to_own(char **why)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *own, *why_not, *first = *why;
	int fd;

	if (runtime == NULL || *runtime != '/')
		return -1;
	own = mem_printf("%s/stickyd/admin.sock", runtime);
	fd = connect_to(own, &why_not);
	if (fd == -1) {
		*why = mem_printf("%s; nor to %s", first, own);
		free(why_not);
	}
	free(first);
	free(own);
	return fd;
}

/* Of the machine's stickyd, else of the user's own. */
static int
connect_somewhere(const char *path, char **why)
{
	int fd = connect_to(path != NULL ? path : DEFAULT_PATH, why);

	return fd == -1 && path == NULL ? connect_to_own(why) : fd;
}

/* ---- the question ---- */

static bool
send_all(int fd, struct slice bytes)
{
	while (bytes.n != 0) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

		if (n == -1 && errno != EINTR)
			return false;
		bytes = slice_skip(bytes, n > 0 ? (size_t)n : 0);
	}
	return true;
}

static bool
send_question(int fd, const char *method, const char *target)
{
	char *text = mem_printf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, target);
	bool good = send_all(fd, slice_of(text));

	free(text);
	return good;
}

/* RFC 3986, 2.3. */
static bool
is_unreserved(char c)
{
	return (byte_is(c, BYTE_BASE64) && c != '+' && c != '/') || c == '-' || c == '.' || c == '_' || c == '~';
}

char *
ask_encode(struct slice text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *to = mem_zalloc(text.n * 3 + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (is_unreserved(text.p[i])) {
			to[n++] = text.p[i];
			continue;
		}
		to[n++] = '%';
		to[n++] = digits[c >> 4];
		to[n++] = digits[c & 15];
	}
	return to;
}

/* ---- the answer ---- */

/* False: it is not complete. */
static bool
take_body(struct slice in, const struct head *head, struct ask_answer *answer)
{
	struct body_reader r;
	struct slice data;
	enum body_result got;

	answer->body = mem_zalloc(in.n + 1);
	answer->bytes = 0;
	body_reader_init(&r, head->framing, head->content_length, NULL);
	while ((got = body_read(&r, &in, &data)) == BODY_DATA) {
		memcpy(answer->body + answer->bytes, data.p, data.n);
		answer->bytes += data.n;
	}
	return got == BODY_DONE || (got == BODY_MORE && body_is_complete_at_end(&r));
}

static bool
take_answer(struct slice bytes, struct ask_answer *answer, char **why)
{
	struct head *head = mem_zalloc(sizeof *head);
	struct h1 p;
	bool good = false;

	h1_init(&p, H1_RESPONSE, READ_BYTES);
	if (h1_parse(&p, bytes, head) != H1_HEAD) {
		*why = mem_strdup("what answers there does not speak HTTP: is this the socket of stickyd?");
	} else if (!take_body(slice_skip(bytes, p.head_bytes), head, answer)) {
		*why = mem_strdup("the answer was cut short");
		free(answer->body);
	} else {
		answer->status = head->status;
		good = true;
	}
	free(head);
	return good;
}

/* ---- a question under way ---- */

struct question {
	int fd;
	bool is_own;		/* the descriptor */
	char *bytes;		/* of the answer, so far */
	size_t n, room;
};

static struct question *
question_on(int fd, bool is_own, const char *method, const char *target, char **why)
{
	struct timeval patience = { .tv_sec = SEND_S };
	struct question *q = mem_zalloc(sizeof *q);

	*q = (struct question){ .fd = fd, .is_own = is_own };
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (send_question(fd, method, target))
		return q;
	*why = mem_printf("the question could not be sent: %s", strerror(errno));
	question_free(q);
	return NULL;
}

struct question *
question_new(const char *path, const char *method, const char *target, char **why)
{
	int fd = connect_somewhere(path, why);

	return fd != -1 ? question_on(fd, true, method, target, why) : NULL;
}

void
question_free(struct question *q)
{
	if (q == NULL)
		return;
	if (q->is_own)
		close(q->fd);
	free(q->bytes);
	free(q);
}

int
question_fd(const struct question *q)
{
	return q->fd;
}

enum question_state
question_read(struct question *q, struct ask_answer *answer, char **why)
{
	ssize_t got;

	if (q->n > ANSWER_MAX) {
		*why = mem_strdup("the answer has no end");
		return QUESTION_FAILED;
	}
	if (q->room - q->n < READ_BYTES) {
		q->room = q->room * 2 + READ_BYTES;
		q->bytes = mem_realloc(q->bytes, q->room);
	}
	got = recv(q->fd, q->bytes + q->n, q->room - q->n, MSG_DONTWAIT);
	if (got == 0)
		return take_answer(slice_make(q->bytes, q->n), answer, why) ? QUESTION_ANSWERED : QUESTION_FAILED;
	if (got == -1 && errno != EAGAIN && errno != EINTR) {
		*why = mem_printf("the connection broke: %s", strerror(errno));
		return QUESTION_FAILED;
	}
	q->n += got > 0 ? (size_t)got : 0;
	return QUESTION_WAITS;
}

/* ---- all of it ---- */

/* Until the answer is there or nothing has come for so long. */
static bool
question_wait(struct question *q, unsigned patience_s, struct ask_answer *answer, char **why)
{
	enum question_state state;

	do {
		struct pollfd at = { .fd = q->fd, .events = POLLIN };

		if (poll(&at, 1, (int)patience_s * 1000) == 0) {
			*why = mem_printf("no answer in %u seconds", patience_s);
			return false;
		}
		state = question_read(q, answer, why);
	} while (state == QUESTION_WAITS);
	return state == QUESTION_ANSWERED;
}

static bool
question_end(struct question *q, unsigned patience_s, struct ask_answer *answer, char **why)
{
	bool good = q != NULL && question_wait(q, patience_s, answer, why);

	question_free(q);
	return good;
}

bool
ask_on(int fd, const char *method, const char *target, unsigned patience_s, struct ask_answer *answer, char **why)
{
	return question_end(question_on(fd, false, method, target, why), patience_s, answer, why);
}

bool
ask(const char *path, const char *method, const char *target, unsigned patience_s, struct ask_answer *answer,
    char **why)
{
	return question_end(question_new(path, method, target, why), patience_s, answer, why);
}
