/* The one door: what it reads, where it stops, what it costs. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/memory.h"

enum { PAGE = 4096 };

static struct pst_memory *own_memory(struct pst_procref *ref)
{
    assert_int_equal(pst_procref_open(getpid(), ref), 0);
    struct pst_memory *memory = pst_memory_new(ref);
    assert_non_null(memory);
    return memory;
}

/* Two pages, the second unmapped. */
static unsigned char *half_mapped(void)
{
    unsigned char *pages =
        mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(munmap(pages + PAGE, PAGE), 0);
    memset(pages, 7, PAGE);
    return pages;
}

static void pieces_before_an_unmapped_one_are_read(void **state)
{
    struct pst_procref ref;
    struct pst_memory *memory = own_memory(&ref);
    unsigned char *pages = half_mapped(), dst[4][64] = {{0}};
    uint64_t base = (uintptr_t)pages;
    size_t done = 99;
    struct pst_piece pieces[] = {
        {base, dst[0], 64},
        {base + 64, dst[1], 64},
        {base + PAGE - 32, dst[2], 64}, /* half of it is there */
        {base, dst[3], 64},
    };
    assert_int_equal(pst_memory_readv(memory, pieces, 4, &done), -EFAULT);
    assert_int_equal(done, 2);
    assert_int_equal(dst[1][63], 7);
    assert_int_equal(dst[3][0], 0);
    assert_int_equal(pst_memory_calls(memory), 1);

    assert_int_equal(pst_memory_readv(memory, &pieces[2], 2, &done), -EFAULT);
    assert_int_equal(done, 0);
    assert_int_equal(pst_memory_read(memory, base + PAGE, dst, 8), -EFAULT);
    munmap(pages, PAGE);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

static void more_pieces_than_one_call_takes_are_split(void **state)
{
    enum { COUNT = 2500 };
    struct pst_procref ref;
    struct pst_memory *memory = own_memory(&ref);
    static uint32_t source[COUNT], copy[COUNT];
    static struct pst_piece pieces[COUNT];
    size_t done;
    for (size_t i = 0; i < COUNT; i++) {
        source[i] = (uint32_t)(i * 2654435761u);
        pieces[i] = (struct pst_piece){(uintptr_t)&source[i], &copy[i], sizeof(source[i])};
    }
    assert_int_equal(pst_memory_readv(memory, pieces, COUNT, &done), 0);
    assert_int_equal(done, COUNT);
    assert_memory_equal(source, copy, sizeof(source));
    assert_int_equal(pst_memory_calls(memory), 3);

    pieces[2000].address = 8;
    assert_int_equal(pst_memory_readv(memory, pieces, COUNT, &done), -EFAULT);
    assert_int_equal(done, 2000);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

static void a_budget_ends_a_sample(void **state)
{
    struct pst_procref ref;
    struct pst_memory *memory = own_memory(&ref);
    char source[256] = "x", dst[256];
    size_t done;
    struct pst_piece pieces[] = {{(uintptr_t)source, dst, 60}, {(uintptr_t)source, dst, 60}};

    pst_memory_budget(memory, 100, 10);
    assert_int_equal(pst_memory_readv(memory, pieces, 2, &done), -EDQUOT);
    assert_int_equal(done, 1);
    assert_int_equal(pst_memory_read(memory, (uintptr_t)source, dst, 41), -EDQUOT);
    assert_int_equal(pst_memory_read(memory, (uintptr_t)source, dst, 40), 0);

    pst_memory_budget(memory, 1000, 2);
    assert_int_equal(pst_memory_read(memory, (uintptr_t)source, dst, 1), 0);
    assert_int_equal(pst_memory_read(memory, (uintptr_t)source, dst, 1), 0);
    assert_int_equal(pst_memory_read(memory, (uintptr_t)source, dst, 1), -EDQUOT);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

static void addresses_that_wrap_are_refused(void **state)
{
    struct pst_procref ref;
    struct pst_memory *memory = own_memory(&ref);
    char dst[64];
    assert_int_equal(pst_memory_read(memory, UINT64_MAX - 8, dst, 64), -EFAULT);
    assert_int_equal(pst_memory_read(memory, UINT64_C(0xffff888000000000), dst, 8), -EFAULT);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

static void an_ended_process_is_gone(void **state)
{
    struct pst_procref ref;
    char dst[8];
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(pst_procref_open(pid, &ref), 0);
    struct pst_memory *memory = pst_memory_new(&ref);
    assert_int_equal(pst_memory_read(memory, (uintptr_t)&ref, dst, 8), 0);
    assert_int_equal(pst_procref_verify(&ref), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(pst_memory_read(memory, (uintptr_t)&ref, dst, 8), -ESRCH);
    assert_int_equal(pst_procref_verify(&ref), -ESRCH);
    struct pst_procref again;
    assert_int_equal(pst_procref_open(pid, &again), -ESRCH);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

static void a_zombie_has_ended(void **state)
{
    struct pst_procref ref;
    siginfo_t info;
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(pst_procref_open(pid, &ref), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(pst_procref_verify(&ref), -ESRCH);
    struct pst_procref without = {pid, -1, ref.start_ticks};
    assert_int_equal(pst_procref_verify(&without), -ESRCH);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    pst_procref_done(&ref);
}

static void another_start_time_is_another_process(void **state)
{
    struct pst_procref ref;
    assert_int_equal(pst_procref_open(getpid(), &ref), 0);
    struct pst_procref same = {ref.pid, -1, ref.start_ticks};
    struct pst_procref other = {ref.pid, -1, ref.start_ticks - 1};
    assert_int_equal(pst_procref_verify(&same), 0);
    assert_int_equal(pst_procref_verify(&other), -ESRCH);
    pst_procref_done(&ref);
}

/* From here on process_vm_readv answers EPERM, as a container engine's default profile has it. */
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

static void read_under_a_filter(void)
{
    struct pst_procref ref;
    struct pst_memory *memory = own_memory(&ref);
    unsigned char *pages = half_mapped(), dst[3][64] = {{0}};
    uint64_t base = (uintptr_t)pages;
    size_t done = 99;
    struct pst_piece pieces[] = {
        {base, dst[0], 64}, {base + PAGE - 32, dst[1], 64}, {base, dst[2], 64}};

    forbid_vm_readv();
    assert_int_equal(pst_memory_readv(memory, pieces, 3, &done), -EFAULT);
    assert_int_equal(done, 1);
    assert_int_equal(dst[0][63], 7);
    assert_int_equal(dst[2][0], 0);
    assert_true(pst_memory_by_file(memory));
    assert_int_equal(pst_memory_read(memory, base, dst, 64), 0);
    assert_int_equal(pst_memory_read(memory, UINT64_MAX - 64, dst, 8), -EFAULT);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

static void a_filter_against_the_call_leaves_the_file_to_read(void **state)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        read_under_a_filter();
        exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void read_without_descriptors(void)
{
    struct pst_procref ref;
    struct pst_memory *memory = own_memory(&ref);
    struct rlimit none = {0, 0};
    char dst[8];

    forbid_vm_readv();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(pst_memory_read(memory, (uintptr_t)dst, dst, 8), -EMFILE);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

static void no_descriptor_left_is_no_refusal(void **state)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        read_without_descriptors();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Opened while that was allowed, as somebody else's right would have it. */
static int opened = -1;

static int lend_opened(pid_t pid, uint64_t start_ticks)
{
    return pid > 0 && start_ticks > 0 ? fcntl(opened, F_DUPFD_CLOEXEC, 0) : -EPERM;
}

/* Exits 0 when the memory of a process that has hidden itself is read with the opener alone. */
static int read_what_is_refused(void)
{
    int pipes[2];
    char path[64], letter = 0;
    struct pst_procref ref;

    if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
        return 1;
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || pipe(pipes) < 0)
        return 2;
    pid_t target = fork();
    if (target == 0) {
        (void)!read(pipes[0], &letter, 1);
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        for (;;)
            (void)pause();
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)target);
    opened = open(path, O_RDONLY | O_CLOEXEC);
    if (opened < 0 || pst_procref_open(target, &ref) < 0 || write(pipes[1], "x", 1) != 1)
        return 3;
    int second;
    while ((second = open(path, O_RDONLY | O_CLOEXEC)) >= 0)
        (void)close(second);
    struct pst_memory *memory = pst_memory_new(&ref);
    bool refused = pst_memory_read(memory, (uintptr_t)&pipes, &letter, 1) == -EPERM;
    pst_memory_set_opener(lend_opened);
    bool lent = pst_memory_read(memory, (uintptr_t)&pipes, &letter, 1) == 0;
    bool by_file = pst_memory_by_file(memory);
    pst_memory_free(memory);
    pst_procref_done(&ref);
    (void)kill(target, SIGKILL);
    return refused && lent && by_file ? 0 : 4;
}

static void what_the_kernel_refuses_is_read_through_a_lent_file(void **state)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(read_what_is_refused());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void windows_stand_for_memory(void **state)
{
    const char one[] = "0123456789abcdef", two[] = "ABCDEFGH";
    struct pst_memory *memory = pst_memory_new_buffer(0x1000, one, 16);
    uint64_t word = 0;
    char dst[16];
    size_t done;
    assert_int_equal(pst_memory_add_buffer(memory, 0x2000, two, 8), 0);
    assert_int_equal(pst_memory_add_buffer(memory, UINT64_MAX - 3, two, 8), -EINVAL);
    assert_int_equal(pst_memory_u64(memory, 0x2000, &word), 0);
    assert_memory_equal(&word, two, 8);
    assert_int_equal(pst_memory_read(memory, 0x100c, dst, 4), 0);
    assert_memory_equal(dst, "cdef", 4);
    assert_int_equal(pst_memory_read(memory, 0x100c, dst, 5), -EFAULT);
    assert_int_equal(pst_memory_read(memory, 0xfff, dst, 1), -EFAULT);
    struct pst_piece pieces[] = {{0x1000, dst, 8}, {0x3000, dst, 0}, {0x3000, dst, 1}};
    assert_int_equal(pst_memory_readv(memory, pieces, 3, &done), -EFAULT);
    assert_int_equal(done, 2);
    pst_memory_free(memory);
}

static void the_sequence_is_even_outside(void **state)
{
    _Atomic uint64_t sequence = 0;
    struct pst_procref ref;
    struct pst_memory *memory = own_memory(&ref);
    char dst[8];
    pst_memory_watch(memory, &sequence);
    assert_int_equal(pst_memory_read(memory, (uintptr_t)dst, dst, 8), 0);
    assert_int_equal(atomic_load(&sequence), 2);
    assert_int_equal(pst_memory_read(memory, 8, dst, 8), -EFAULT);
    assert_int_equal(atomic_load(&sequence), 4);
    pst_memory_free(memory);
    pst_procref_done(&ref);
}

static void pointers_that_cannot_be_are_told(void **state)
{
    assert_true(pst_memory_plausible((uintptr_t)own_memory & ~UINT64_C(7)));
    assert_false(pst_memory_plausible(0));
    assert_false(pst_memory_plausible(8));
    assert_false(pst_memory_plausible(0x7f0000000001));
    assert_false(pst_memory_plausible(UINT64_C(0x8000000000000000)));
    assert_false(pst_memory_plausible(UINT64_C(0xffff888000000000)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_before_an_unmapped_one_are_read),
        cmocka_unit_test(more_pieces_than_one_call_takes_are_split),
        cmocka_unit_test(a_budget_ends_a_sample),
        cmocka_unit_test(addresses_that_wrap_are_refused),
        cmocka_unit_test(an_ended_process_is_gone),
        cmocka_unit_test(a_zombie_has_ended),
        cmocka_unit_test(another_start_time_is_another_process),
        cmocka_unit_test(a_filter_against_the_call_leaves_the_file_to_read),
        cmocka_unit_test(no_descriptor_left_is_no_refusal),
        cmocka_unit_test(what_the_kernel_refuses_is_read_through_a_lent_file),
        cmocka_unit_test(windows_stand_for_memory),
        cmocka_unit_test(the_sequence_is_even_outside),
        cmocka_unit_test(pointers_that_cannot_be_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
