/* The scan over real processes: copies of this very program, which carries the symbols of a CPython
 * 3.13 and plays the interpreter's part of coming up. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "scan/scan.h"

/* As _Py_DebugOffsets begins; the list of interpreters is at 64. Large enough to be looked at. */
struct fake_runtime {
    char cookie[8];
    uint64_t version, free_threaded, size, finalizing, interpreters_head, unused[2];
    uint64_t interpreters;
    char rest[1048576];
};
extern struct fake_runtime _PyRuntime;
struct fake_runtime _PyRuntime __attribute__((section(".PyRuntime"), used)) = {
    {'x', 'd', 'e', 'b', 'u', 'g', 'p', 'y'}, 0x030d02f0, 0, 4096, 32, 64, {0}, 0, "x"};

enum { EVENTS = 4096 };
struct event {
    enum pst_scan_event kind;
    struct pst_facts *facts;
};
static struct event events[EVENTS];
static size_t event_count;
static int environ_asked; /* how often for asked_pid */
static pid_t asked_pid;

static void note(void *context, enum pst_scan_event kind, const struct pst_facts *facts)
{
    if (event_count < EVENTS)
        events[event_count++] = (struct event){kind, pst_facts_copy(facts)};
}

static const struct event *last_of(pid_t pid, enum pst_scan_event kind)
{
    for (size_t i = event_count; i > 0; i--) {
        if (events[i - 1].facts->pid == pid && events[i - 1].kind == kind)
            return &events[i - 1];
    }
    return NULL;
}

static int asked_environ(void *context, const struct pst_facts *facts, const char *name, char *dst,
                         size_t size)
{
    environ_asked += facts->pid == asked_pid;
    if (strcmp(name, "DD_SERVICE") != 0)
        return -ENOENT;
    (void)snprintf(dst, size, "told");
    return 0;
}

static int asked_arguments(void *context, const struct pst_facts *facts, struct pst_buf *out)
{
    return pst_buf_append(out, "python\0told.py", sizeof("python\0told.py"));
}

static struct pst_scan *start(uint64_t min_age_ns)
{
    struct pst_scan_options options = {.min_age_ns = min_age_ns,
                                       .first_id = 1000,
                                       .emit = note,
                                       .interpreter_environ = asked_environ,
                                       .interpreter_arguments = asked_arguments};
    for (size_t i = 0; i < event_count; i++)
        pst_facts_free(events[i].facts);
    event_count = 0;
    environ_asked = 0;
    struct pst_scan *scan = pst_scan_new(&options);
    assert_non_null(scan);
    return scan;
}

/* Ticks until the event is there; the deadline is for a machine that is stuck. */
static const struct event *await_event(struct pst_scan *scan, pid_t pid, enum pst_scan_event kind)
{
    uint64_t end = pst_clock_monotonic_ns() + 30 * PST_NS_PER_S;
    while (!last_of(pid, kind) && pst_clock_monotonic_ns() < end) {
        assert_int_equal(pst_scan_tick(scan), 0);
        (void)usleep(20000);
    }
    const struct event *event = last_of(pid, kind);
    assert_non_null(event);
    return event;
}

struct child {
    pid_t pid;
    int to, from; /* commands to it, answers from it */
};

/* What a copy of this program does: each byte is an order, answered by one byte. */
static int play(void)
{
    char order, answer;
    while (read(0, &order, 1) == 1) {
        pid_t pid = 0;
        answer = order;
        switch (order) {
        case 'u': /* up */
            _PyRuntime.interpreters = (uintptr_t)&_PyRuntime & ~UINT64_C(7);
            break;
        case 'f': /* fork a child that waits */
            pid = fork();
            if (pid == 0) {
                pause();
                _exit(0);
            }
            break;
        case 'n': /* the same program anew, at the same addresses */
            (void)personality(ADDR_NO_RANDOMIZE);
            (void)execl("/proc/self/exe", "play", "as", (char *)NULL);
            _exit(1);
        case 'e': /* another program in the same pid */
            (void)execl("/bin/sleep", "sleep", "100", (char *)NULL);
            _exit(1);
        default:
            _exit(0);
        }
        if (write(1, &answer, 1) != 1 || (order == 'f' && write(1, &pid, sizeof(pid)) < 0))
            _exit(1);
    }
    return 0;
}

static struct child spawn_program(const char *program, const char *environment, bool stranger)
{
    int to[2], from[2];
    struct child child;
    pid_t pid = 0;
    assert_true(pipe(to) == 0 && pipe(from) == 0);
    child.pid = fork();
    if (child.pid == 0) {
        char *const argv[] = {(char *)"play", (char *)"as", NULL};
        char *const envp[] = {(char *)(uintptr_t)environment, (char *)"SECRET=1", NULL};
        if (stranger && (pid = fork()) != 0)
            _exit(write(from[1], &pid, sizeof(pid)) != sizeof(pid));
        (void)prctl(PR_SET_PDEATHSIG, stranger ? 0 : SIGKILL);
        (void)dup2(to[0], 0);
        (void)dup2(from[1], 1);
        (void)close(to[1]);
        (void)close(from[0]);
        (void)execve(program, argv, envp);
        _exit(127);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    child.to = to[1];
    child.from = from[0];
    if (stranger) {
        assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
        assert_int_equal(read(child.from, &child.pid, sizeof(pid)), sizeof(pid));
    }
    return child;
}

static struct child spawn(const char *environment)
{
    struct child child = spawn_program("/proc/self/exe", environment, false);
    asked_pid = child.pid;
    return child;
}

/* This program is a target itself, and so are its children from the first tick: a stranger is a
 * copy of the file in a process whose parent has gone. It ends when its order pipe is closed. */
static void copy_program(char *path)
{
    char buffer[65536];
    ssize_t got;
    int to = mkstemp(path), from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(to >= 0 && from >= 0);
    while ((got = read(from, buffer, sizeof(buffer))) > 0)
        assert_int_equal(write(to, buffer, (size_t)got), got);
    assert_int_equal(fchmod(to, 0700), 0);
    (void)close(to);
    (void)close(from);
}

static void order(struct child *child, char what)
{
    char answer = 0;
    assert_int_equal(write(child->to, &what, 1), 1);
    assert_int_equal(read(child->from, &answer, 1), 1);
    assert_int_equal(answer, what);
}

static void finish(struct child *child)
{
    (void)kill(child->pid, SIGKILL);
    (void)waitpid(child->pid, NULL, 0);
    (void)close(child->to);
    (void)close(child->from);
}

static const struct pst_facts *one(struct pst_scan *scan, pid_t pid)
{
    const struct pst_facts *facts = NULL;
    assert_int_equal(pst_scan_one(scan, pid, &facts), 0);
    return facts;
}

static void await_exec(const struct child *child)
{
    char path[64], text[64] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)child->pid);
    for (int i = 0; i < 3000 && strncmp(text, "play", 4) != 0; i++) {
        FILE *file = fopen(path, "r");
        if (file && fread(text, 1, sizeof(text) - 1, file) == 0)
            text[0] = '\0';
        if (file)
            (void)fclose(file);
        (void)usleep(1000);
    }
}

static void an_interpreter_that_comes_up_late_is_tried_again(void **state)
{
    struct pst_scan *scan = start(0);
    struct child child = spawn("OTEL_SERVICE_NAME=shop");
    struct pst_str value;
    await_exec(&child);
    assert_int_equal(pst_scan_run(scan), 0);
    const struct event *event = last_of(child.pid, PST_SCAN_NEW);
    assert_non_null(event);
    assert_int_equal(event->facts->state, PST_TARGET_STARTING);
    assert_true(pst_str_eq(event->facts->reason, PST_STR("not_ready")));
    assert_int_equal(event->facts->runtime.hexversion, 0x030d02f0);
    assert_int_equal(event->facts->build, PST_BUILD_STATIC);
    assert_true(event->facts->runtime.image_start != 0);
    assert_int_equal(event->facts->env_source, PST_ENV_BLOCK);
    assert_true(pst_facts_env(event->facts, "OTEL_SERVICE_NAME", &value));
    assert_true(pst_str_eq(value, PST_STR("shop")));
    assert_false(pst_facts_env(event->facts, "SECRET", &value));
    assert_true(event->facts->random_address != 0);
    uint64_t id = event->facts->id;

    order(&child, 'u');
    event = await_event(scan, child.pid, PST_SCAN_CHANGED);
    assert_int_equal(event->facts->state, PST_TARGET_READY);
    assert_int_equal(event->facts->id, id);
    assert_ptr_equal(pst_scan_get(scan, id), one(scan, child.pid));
    assert_int_equal(environ_asked, 0);
    finish(&child);
    event = await_event(scan, child.pid, PST_SCAN_GONE);
    assert_true(pst_str_eq(event->facts->reason, PST_STR("gone")));
    assert_null(pst_scan_get(scan, id));
    pst_scan_free(scan);
}

static void a_forked_child_is_known_by_the_next_tick(void **state)
{
    struct pst_scan *scan = start(UINT64_C(3600) * PST_NS_PER_S);
    struct child child = spawn("DD_SERVICE=shop");
    struct pst_str value;
    pid_t forked = 0;
    await_exec(&child);
    order(&child, 'u');
    assert_int_equal(pst_scan_run(scan), 0);
    assert_int_equal(pst_scan_tick(scan), 0);
    uint64_t parent = last_of(child.pid, PST_SCAN_NEW)->facts->id;
    order(&child, 'f');
    assert_int_equal(read(child.from, &forked, sizeof(forked)), sizeof(forked));
    assert_int_equal(pst_scan_tick(scan), 0);
    const struct event *event = await_event(scan, forked, PST_SCAN_NEW);
    assert_int_equal(event->facts->parent_id, parent);
    assert_true(event->facts->id != parent);
    assert_int_equal(event->facts->state, PST_TARGET_READY);
    assert_int_equal(event->facts->ppid, child.pid);
    assert_true(pst_facts_env(event->facts, "DD_SERVICE", &value));
    (void)kill(forked, SIGKILL);
    (void)await_event(scan, forked, PST_SCAN_GONE);
    finish(&child);
    pst_scan_free(scan);
}

static void exec_in_the_same_pid_ends_a_target(void **state)
{
    struct pst_scan *scan = start(0);
    struct child child = spawn("A=1");
    char what = 'e';
    const struct pst_facts *facts;
    await_exec(&child);
    order(&child, 'u');
    assert_int_equal(pst_scan_run(scan), 0);
    assert_non_null(last_of(child.pid, PST_SCAN_NEW));
    assert_int_equal(write(child.to, &what, 1), 1);
    const struct event *event = await_event(scan, child.pid, PST_SCAN_GONE);
    assert_true(pst_str_eq(event->facts->reason, PST_STR("exec")));
    assert_int_equal(pst_scan_one(scan, child.pid, &facts), -ENOENT);
    finish(&child);
    assert_int_equal(pst_scan_one(scan, child.pid, &facts), -ESRCH);
    pst_scan_free(scan);
}

/* From here on process_vm_readv answers EPERM: /proc/PID/mem is read. */
static void forbid_vm_readv(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* What was opened before an exec reads nothing after it: the target stayed what it had been. */
static void exec_is_noticed_where_memory_is_read_through_its_file(void **state)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        forbid_vm_readv();
        exec_in_the_same_pid_ends_a_target(state);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void exec_is_noticed_where_addresses_are_not_random(void **state)
{
    struct pst_scan *scan = start(0);
    struct child child = spawn("A=1");
    char what = 'n';
    await_exec(&child);
    assert_int_equal(write(child.to, &what, 1), 1);
    order(&child, 'u');
    uint64_t id = one(scan, child.pid)->id, address = one(scan, child.pid)->random_address;
    assert_int_equal(write(child.to, &what, 1), 1);
    order(&child, 'u');
    assert_true(one(scan, child.pid)->id != id);
    if (one(scan, child.pid)->random_address != address)
        print_message("this kernel moves the stack all the same\n");
    finish(&child);
    pst_scan_free(scan);
}

static void unknown_programs_wait_for_their_age_but_not_in_the_first_run(void **state)
{
    char path[] = "/tmp/pystrobe-unit-scan-XXXXXX";
    struct pst_scan *scan = start(UINT64_C(3600) * PST_NS_PER_S);
    copy_program(path);
    assert_int_equal(pst_scan_run(scan), 0);
    struct child child = spawn_program(path, "A=1", true);
    await_exec(&child);
    assert_int_equal(pst_scan_run(scan), 0);
    assert_null(last_of(child.pid, PST_SCAN_NEW));
    assert_int_equal(pst_scan_tick(scan), 0);
    assert_null(last_of(child.pid, PST_SCAN_NEW));
    (void)one(scan, child.pid); /* asked for: whatever its age */
    assert_non_null(last_of(child.pid, PST_SCAN_NEW));
    struct child second = spawn_program(path, "A=1", true);
    await_exec(&second);
    assert_int_equal(pst_scan_run(scan), 0); /* a known program now */
    assert_non_null(last_of(second.pid, PST_SCAN_NEW));
    pst_scan_free(scan);

    scan = start(UINT64_C(3600) * PST_NS_PER_S);
    assert_int_equal(pst_scan_run(scan), 0);
    assert_non_null(last_of(child.pid, PST_SCAN_NEW));
    finish(&child);
    finish(&second);
    (void)unlink(path);
    pst_scan_free(scan);
}

static void an_overwritten_environment_comes_from_the_interpreter(void **state)
{
    struct pst_scan *scan = start(0);
    struct child child = spawn("title: idle"); /* as setproctitle leaves it: no NAME=VALUE */
    struct pst_str value;
    await_exec(&child);
    assert_int_equal(pst_scan_run(scan), 0);
    const struct event *event = last_of(child.pid, PST_SCAN_NEW);
    assert_int_equal(event->facts->env_source, PST_ENV_NONE);
    assert_int_equal(environ_asked, 0); /* nobody to ask before it is up */
    order(&child, 'u');
    uint64_t end = pst_clock_monotonic_ns() + 30 * PST_NS_PER_S;
    while (one(scan, child.pid)->env_source == PST_ENV_NONE && pst_clock_monotonic_ns() < end) {
        (void)pst_scan_tick(scan);
        (void)usleep(20000);
    }
    assert_int_equal(one(scan, child.pid)->env_source, PST_ENV_INTERPRETER);
    assert_true(pst_facts_env(one(scan, child.pid), "DD_SERVICE", &value));
    assert_true(pst_str_eq(value, PST_STR("told")));
    assert_true(pst_str_eq(one(scan, child.pid)->started_as,
                           (struct pst_str){"python\0told.py", sizeof("python\0told.py")}));
    finish(&child);
    pst_scan_free(scan);
}

static void a_refused_process_is_never_touched(void **state)
{
    struct pst_scan *scan = start(0);
    struct child child = spawn("A=1");
    await_exec(&child);
    order(&child, 'u');
    assert_int_equal(pst_scan_run(scan), 0);
    uint64_t ticks = one(scan, child.pid)->start_ticks;
    assert_int_equal(pst_scan_refuse(scan, child.pid, ticks + 1), -ESRCH);
    assert_int_equal(pst_scan_refuse(scan, child.pid, ticks), 0);
    const struct event *event = last_of(child.pid, PST_SCAN_CHANGED);
    assert_int_equal(event->facts->state, PST_TARGET_FAILED);
    assert_true(pst_str_eq(event->facts->reason, PST_STR("stalled")));
    for (int i = 0; i < 50; i++)
        assert_int_equal(pst_scan_tick(scan), 0);
    assert_int_equal(pst_scan_run(scan), 0);
    assert_int_equal(one(scan, child.pid)->state, PST_TARGET_FAILED);
    finish(&child);
    (void)await_event(scan, child.pid, PST_SCAN_GONE);
    pst_scan_free(scan);
}

/* What stalled a reader before this one. */
static void a_process_can_be_refused_before_it_is_known(void **state)
{
    const struct pst_facts *facts;
    struct pst_scan *scan = start(0);
    struct child child = spawn("A=1");
    await_exec(&child);
    order(&child, 'u');
    uint64_t ticks = one(scan, child.pid)->start_ticks;
    pst_scan_free(scan);
    scan = start(0);
    assert_int_equal(pst_scan_refuse(scan, child.pid, ticks), 0);
    assert_int_equal(pst_scan_run(scan), 0);
    assert_int_equal(pst_scan_tick(scan), 0);
    assert_int_equal(pst_scan_one(scan, child.pid, &facts), -ENOENT);
    assert_null(last_of(child.pid, PST_SCAN_NEW));
    finish(&child);
    pst_scan_free(scan);
}

static void known_files_are_not_read_again(void **state)
{
    struct pst_scan_stats before, after;
    struct pst_scan *scan = start(0);
    struct child child = spawn("A=1");
    await_exec(&child);
    assert_int_equal(pst_scan_run(scan), 0);
    pst_scan_stats(scan, &before);
    assert_true(before.elf_read > 0 && before.processes > 1);
    struct child second = spawn("A=1");
    await_exec(&second);
    (void)one(scan, second.pid);
    pst_scan_stats(scan, &after);
    assert_int_equal(after.elf_read, before.elf_read);
    assert_true(after.elf_cached > before.elf_cached);
    finish(&child);
    finish(&second);
    pst_scan_free(scan);
}

int main(int argc, char **argv)
{
    if (strcmp(argv[0], "play") == 0)
        return play();
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interpreter_that_comes_up_late_is_tried_again),
        cmocka_unit_test(a_forked_child_is_known_by_the_next_tick),
        cmocka_unit_test(exec_in_the_same_pid_ends_a_target),
        cmocka_unit_test(exec_is_noticed_where_memory_is_read_through_its_file),
        cmocka_unit_test(exec_is_noticed_where_addresses_are_not_random),
        cmocka_unit_test(unknown_programs_wait_for_their_age_but_not_in_the_first_run),
        cmocka_unit_test(an_overwritten_environment_comes_from_the_interpreter),
        cmocka_unit_test(a_refused_process_is_never_touched),
        cmocka_unit_test(a_process_can_be_refused_before_it_is_known),
        cmocka_unit_test(known_files_are_not_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
