/* SPDX-License-Identifier: BSD-2-Clause */
/* The answer is gathered until the connection ends, and then taken apart by the parsers that the proxy has. */
#include "ctl/ask.h"

#include <errno.h>
#include <grp.h>
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
#define TIMEOUT_S 30
#define ANSWER_MAX (64 << 20)
#define READ_BYTES 65536

/* ---- the connection ---- */

static char *
group_of(const char *path)
{
	struct group *g;
	struct stat st;

	if (stat(path, &st) == -1)
		return mem_strdup("of its socket");	/* not even its directory can be entered */
	g = getgrgid(st.st_gid);
	return g != NULL ? mem_printf("'%s'", g->gr_name) : mem_printf("%u", (unsigned)st.st_gid);
}

static char *
why_not_connected(const char *path, int error)
{
	char *group, *why;

	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return mem_printf("cannot connect to %s: %s: is stickyd running? -s SOCKET says where its socket is",
		    path, strerror(error));
	case EACCES:
		group = group_of(path);
		why = mem_printf("cannot connect to %s: %s: be root, or a member of the group %s", path,
		    strerror(error), group);
		free(group);
		return why;
	default:
		return mem_printf("cannot connect to %s: %s", path, strerror(error));
	}
}

/* Of the machine's stickyd, else of the user's own. */
static int
connect_to_default(char **why)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int fd = unixsock_connect(DEFAULT_PATH), error = errno;
	char *own;

	if (fd == -1 && runtime != NULL && *runtime == '/') {
		own = mem_printf("%s/stickyd/admin.sock", runtime);
		fd = unixsock_connect(own);
		free(own);
	}
	if (fd == -1)
		*why = why_not_connected(DEFAULT_PATH, error);
	return fd;
}

static int
connect_to(const char *path, char **why)
{
	int fd;

	if (path == NULL)
		return connect_to_default(why);
	fd = unixsock_connect(path);
	if (fd == -1)
		*why = why_not_connected(path, errno);
	return fd;
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

/* Until the other side has said all. NULL with errno. */
static char *
read_all(int fd, size_t *n)
{
	char *bytes = NULL;
	ssize_t got = 1;

	for (*n = 0; got != 0 && *n < ANSWER_MAX; *n += got > 0 ? (size_t)got : 0) {
		bytes = mem_realloc(bytes, *n + READ_BYTES);
		got = recv(fd, bytes + *n, READ_BYTES, 0);
		if (got == -1 && errno != EINTR) {
			free(bytes);
			return NULL;
		}
	}
	return bytes;
}

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

bool
ask_on(int fd, const char *method, const char *target, struct ask_answer *answer, char **why)
{
	struct timeval patience = { .tv_sec = TIMEOUT_S };
	char *bytes = NULL;
	bool good;
	size_t n;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (send_question(fd, method, target))
		bytes = read_all(fd, &n);
	if (bytes == NULL) {
		*why = errno == EAGAIN ? mem_printf("no answer in %d seconds", TIMEOUT_S)
		    : mem_printf("the connection broke: %s", strerror(errno));
		return false;
	}
	good = take_answer(slice_make(bytes, n), answer, why);
	free(bytes);
	return good;
}

bool
ask(const char *path, const char *method, const char *target, struct ask_answer *answer, char **why)
{
	int fd = connect_to(path, why);
	bool good;

	if (fd == -1)
		return false;
	good = ask_on(fd, method, target, answer, why);
	close(fd);
	return good;
}
