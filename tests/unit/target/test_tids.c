/* Threads of this very process. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/tids.h"

enum { THREADS = 40 };

struct worker {
    pthread_t thread;
    pid_t tid;
    sem_t started, end;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    (void)prctl(PR_SET_NAME, "worker) R", 0, 0, 0);
    worker->tid = gettid();
    (void)sem_post(&worker->started);
    (void)sem_wait(&worker->end);
    return NULL;
}

static void threads_come_and_go(void **state)
{
    static struct worker workers[THREADS];
    struct pst_tids *tids = pst_tids_new(getpid(), NULL);
    size_t count;
    assert_non_null(tids);
    assert_int_equal(pst_tids_refresh(tids), 0);
    (void)pst_tids_list(tids, &count);
    assert_int_equal(count, 1);
    for (size_t i = 0; i < THREADS; i++) {
        (void)sem_init(&workers[i].started, 0, 0);
        (void)sem_init(&workers[i].end, 0, 0);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        (void)sem_wait(&workers[i].started);
    }
    assert_int_equal(pst_tids_refresh(tids), 0);
    const struct pst_tid *list = pst_tids_list(tids, &count);
    assert_int_equal(count, THREADS + 1);
    for (size_t i = 1; i < count; i++)
        assert_true(list[i - 1].tid < list[i].tid);
    const struct pst_tid *one = pst_tids_by_tid(tids, workers[17].tid);
    assert_non_null(one);
    assert_string_equal(one->name, "worker) R");
    assert_ptr_equal(pst_tids_by_own(tids, one->own_tid), one);
    assert_null(pst_tids_by_own(tids, 0x3fffffff));
    for (size_t i = 0; i < THREADS; i++) {
        (void)sem_post(&workers[i].end);
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    }
    /* The kernel unlists a thread a moment after it was joined. */
    for (int i = 0; i < 1000 && count != 1; i++) {
        assert_int_equal(pst_tids_refresh(tids), 0);
        (void)pst_tids_list(tids, &count);
        (void)usleep(1000);
    }
    assert_int_equal(count, 1);
    assert_null(pst_tids_by_tid(tids, workers[17].tid));
    pst_tids_free(tids);
}

static void a_kept_folder_belongs_to_one_process_only(void **state)
{
    int error = 0;
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    struct pst_tids *tids = pst_tids_new(pid, &error);
    assert_non_null(tids);
    assert_int_equal(pst_tids_refresh(tids), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(pst_tids_refresh(tids), -ESRCH);
    pst_tids_free(tids);
    assert_null(pst_tids_new(pid, &error));
    assert_int_equal(error, -ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_come_and_go),
        cmocka_unit_test(a_kept_folder_belongs_to_one_process_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
