/* SPDX-License-Identifier: BSD-2-Clause */
/* Start it, give it the sockets, wait, give it the rest. */
#include "run/upgrade.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/admin.h"
#include "run/handover.h"
#include "run/standing.h"
#include "store/snapshot.h"

/* To read its configuration, resolve names, look at each gateway once. */
#define UPGRADE_PREPARE_S 60
/* To read the table and start its threads: nobody accepts meanwhile. */
#define UPGRADE_TAKE_OVER_S 10
/* Ten million keys take some four seconds. */
#define UPGRADE_KEYS_A_SECOND 1000000

extern char **environ;

enum upgrade_state { UPGRADE_PREPARING, UPGRADE_PAUSING, UPGRADE_GIVEN };

struct upgrade {
	enum upgrade_state state;
	struct daemon *daemon;
	struct upgrade_events events;
	pid_t child;
	int socket;
	struct event *said;
};

/* How this process was started. */
static struct {
	char *program, **argv;
} self;

/* By the name it was called with where that is a path, since a deploy may move a link there; else by the file it
 * is. */
void
upgrade_remember(char **argv)
{
	char path[4096], *directory;
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	self.argv = argv;
	free(self.program);
	if (argv[0][0] == '/') {
		self.program = mem_strdup(argv[0]);
	} else if (strchr(argv[0], '/') != NULL && (directory = getcwd(NULL, 0)) != NULL) {
		self.program = mem_printf("%s/%s", directory, argv[0]);
		free(directory);
	} else {
		path[n > 0 ? n : 0] = '\0';
		self.program = mem_strdup(n > 0 ? path : argv[0]);
	}
}

/* ---- the new process ---- */

/* Of our environment: WATCHDOG_PID says whom systemd watches, which it learns anew. */
static bool
is_inherited(const char *variable)
{
	static const char *const ours[] = { HANDOVER_VARIABLE "=", BEQUEST_VARIABLE "=", "WATCHDOG_PID=" };

	for (unsigned i = 0; i < COUNT(ours); i++)
		if (strncmp(variable, ours[i], strlen(ours[i])) == 0)
			return false;
	return true;
}

/* Our environment, where it is said what is left to it. NULL-terminated; the list and its first two strings are the
 * caller's. */
static char **
environment_for(int fd, const struct bequest *b)
{
	size_t n = 0, k = 0;
	char **env, *sockets = bequest_text(b);

	while (environ[n] != NULL)
		n++;
	env = mem_zalloc((n + 3) * sizeof *env);
	env[k++] = mem_printf(HANDOVER_VARIABLE "=%d", fd);
	env[k++] = mem_printf(BEQUEST_VARIABLE "=%s", sockets);
	free(sockets);
	for (size_t i = 0; i < n; i++)
		if (is_inherited(environ[i]))
			env[k++] = environ[i];
	return env;
}

static void
keep_open(posix_spawn_file_actions_t *files, int fd)
{
	must(posix_spawn_file_actions_adddup2(files, fd, fd) == 0);	/* which takes close-on-exec away */
}

/* posix_spawn, since fork would copy the page tables of all that we hold. Beside the standard descriptors it inherits
 * its end of the pair and what is left to it. Returns errno. */
static int
upgrade_spawn(struct upgrade *u, int fd, const struct bequest *b)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	char **env = environment_for(fd, b);
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	must(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attributes) == 0);
	keep_open(&files, fd);
	for (size_t i = 0; i < b->n; i++)
		keep_open(&files, b->fd[i]);
	must(posix_spawnattr_setsigmask(&attributes, &none) == 0);
	must(posix_spawnattr_setsigdefault(&attributes, &all) == 0);
	must(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0);
	error = posix_spawn(&u->child, self.program, &files, &attributes, self.argv, env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	free(env[0]);
	free(env[1]);
	free(env);
	return error;
}

/* ---- the end ---- */

static void
upgrade_call_off(struct upgrade *u, const char *why)
{
	int status = 0;
	const char *how = "was ended";

	event_free(u->said);
	u->said = NULL;
	if (waitpid(u->child, &status, WNOHANG) == 0) {
		kill(u->child, SIGKILL);
		waitpid(u->child, NULL, 0);
	} else {
		how = WIFEXITED(status) ? "has exited" : "has died";
	}
	u->child = -1;
	log_error("the upgrade came to nothing: %s; the new process %s (%d); this one goes on", why, how,
	    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	u->events.resume(u->events.arg);
}

static void
upgrade_wait(struct upgrade *u, unsigned seconds)
{
	struct timeval wait = { .tv_sec = (time_t)seconds };

	must(event_add(u->said, &wait) == 0);
}

/* ---- what is given ---- */

static bool
upgrade_give_state(struct upgrade *u)
{
	const struct daemon *d = u->daemon;
	int fd[2] = { memfd_create("stickyd table", MFD_CLOEXEC), memfd_create("stickyd standing", MFD_CLOEXEC) };
	bool good = fd[0] != -1 && fd[1] != -1 &&
	    snapshot_write_fd(fd[0], d->shared.table, (uint32_t)(clock_wall_us() / 1000000)) &&
	    standing_write(fd[1], d->edition->pool, d->edition->pools) &&
	    handover_send(u->socket, HANDOVER_STATE, fd, COUNT(fd));

	for (unsigned i = 0; i < COUNT(fd); i++)
		if (fd[i] != -1)
			close(fd[i]);
	return good;
}

void
upgrade_paused(struct upgrade *u)
{
	char why[160];

	if (u->state != UPGRADE_PAUSING)
		return;
	u->state = UPGRADE_GIVEN;
	if (upgrade_give_state(u)) {
		upgrade_wait(u, UPGRADE_TAKE_OVER_S +
		    (unsigned)(table_counts(u->daemon->shared.table).keys / UPGRADE_KEYS_A_SECOND));
		return;
	}
	snprintf(why, sizeof why, "the table can't be handed over: %s", strerror(errno));
	upgrade_call_off(u, why);
}

/* ---- what it says ---- */

static void
upgrade_done(struct upgrade *u)
{
	pid_t child = u->child;

	u->child = -1;		/* it is nobody's to end now */
	u->events.done(u->events.arg, child);
}

static void
upgrade_hear(struct upgrade *u, const struct handover_message *m)
{
	if (m->word == HANDOVER_PREPARED && u->state == UPGRADE_PREPARING) {
		u->state = UPGRADE_PAUSING;
		upgrade_wait(u, UPGRADE_TAKE_OVER_S);
		u->events.pause(u->events.arg);
	} else if (m->word == HANDOVER_READY && u->state == UPGRADE_GIVEN) {
		upgrade_done(u);
	} else {
		upgrade_call_off(u, "the new process says what makes no sense");
	}
}

/* What was said counts, however late we look. */
static bool
has_come(int fd)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1;
}

static void
on_said(evutil_socket_t fd, short what, void *arg)
{
	struct upgrade *u = arg;
	struct handover_message m;

	if (what & EV_TIMEOUT && !has_come(fd)) {
		upgrade_call_off(u, "the new process takes too long");
		return;
	}
	if (!handover_receive(fd, &m)) {
		upgrade_call_off(u, errno == 0 ? "the new process has given up" : strerror(errno));
		return;
	}
	upgrade_hear(u, &m);
	handover_message_fini(&m);
}

struct upgrade *
upgrade_begin(struct daemon *d, struct event_base *base, const struct upgrade_events *events)
{
	struct upgrade *u = mem_zalloc(sizeof *u);
	struct bequest sockets = { .n = 0 };
	int pair[2], error;

	u->daemon = d;
	u->events = *events;
	u->socket = u->child = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1) {
		log_error("an upgrade can't be begun: %s", strerror(errno));
		upgrade_free(u);
		return NULL;
	}
	u->socket = pair[0];
	daemon_bequeath(d, &sockets);
	error = upgrade_spawn(u, pair[1], &sockets);
	bequest_fini(&sockets);
	close(pair[1]);
	if (error != 0) {
		log_error("an upgrade can't be begun: %s: %s", self.program, strerror(error));
		upgrade_free(u);
		return NULL;
	}
	log_notice("upgrading: %s runs as process %d", self.program, (int)u->child);
	u->said = event_new(base, u->socket, EV_READ, on_said, u);
	must(u->said != NULL);
	upgrade_wait(u, UPGRADE_PREPARE_S);
	return u;
}

void
upgrade_free(struct upgrade *u)
{
	if (u == NULL)
		return;
	if (u->said != NULL)
		event_free(u->said);
	if (u->socket != -1)
		close(u->socket);
	if (u->child != -1) {
		kill(u->child, SIGKILL);
		waitpid(u->child, NULL, 0);
	}
	free(u);
}
