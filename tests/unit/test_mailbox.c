/* SPDX-License-Identifier: BSD-2-Clause */
/* Letters from many threads: none is lost, each thread's come in order, and a dropped box drops them. */
#include "run/mailbox.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmocka.h>

#define THREADS 4
#define LETTERS 2000

static struct mailbox *box;
static size_t got[THREADS];
static unsigned all;

static void
on_letter(void *arg, size_t number)
{
	size_t *of = arg;

	assert_int_equal(number, *of); /* in the order in which they were posted */
	(*of)++;
	all++;
}

static bool
is_readable(void)
{
	struct pollfd p = { .fd = mailbox_fd(box), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void *
post_all(void *arg)
{
	for (size_t i = 0; i < LETTERS; i++)
		mailbox_post(box, on_letter, arg, i);
	return NULL;
}

static int
setup(void **state)
{
	(void)state;
	box = mailbox_new();
	for (unsigned i = 0; i < THREADS; i++)
		got[i] = 0;
	all = 0;
	return box == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	mailbox_free(box);
	return 0;
}

static void
one_thread(void **state)
{
	(void)state;
	assert_false(is_readable());
	mailbox_deliver(box); /* nothing: fine */
	mailbox_post(box, on_letter, &got[0], 0);
	mailbox_post(box, on_letter, &got[0], 1);
	assert_true(is_readable());
	assert_int_equal(all, 0); /* not before it is delivered */
	mailbox_deliver(box);
	assert_int_equal(all, 2);
	assert_false(is_readable());
}

static void
post_again(void *arg, size_t number)
{
	all++;
	if (number != 0)
		mailbox_post(box, post_again, arg, number - 1);
}

/* What is posted while delivering is delivered too, then or later. */
static void
posted_by_a_letter(void **state)
{
	(void)state;
	mailbox_post(box, post_again, NULL, 9);
	for (unsigned i = 0; i < 10 && is_readable(); i++)
		mailbox_deliver(box);
	assert_int_equal(all, 10);
	assert_false(is_readable());
}

static void
many_threads(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, post_all, &got[i]), 0);
	while (all < THREADS * LETTERS) {
		struct pollfd p = { .fd = mailbox_fd(box), .events = POLLIN };

		assert_int_equal(poll(&p, 1, 10000), 1); /* a lost wake-up would be a time-out */
		mailbox_deliver(box);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(got[i], LETTERS);
}

static void
dropped_undelivered(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++)
		mailbox_post(box, on_letter, &got[0], i);
	mailbox_free(box);
	box = NULL;
	assert_int_equal(all, 0);
	mailbox_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(posted_by_a_letter, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(dropped_undelivered, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
