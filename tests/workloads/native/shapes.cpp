// C++ with names worth demangling between two Python frames, stacks longer than their copies, and stacks of other kinds.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

typedef void (*callback)();

namespace shop {
template <typename T>
struct Till {
    T total;
    __attribute__((noinline)) T ring(callback then)
    {
        then();
        return ++total;
    }
};
}

extern "C" int shapes_ring(callback then)
{
    shop::Till<int> till = {1};
    return till.ring(then) + 1;
}

extern "C" __attribute__((noinline)) int shapes_deep(int depth, callback then)
{
    volatile char room[4096];
    room[depth % 4096] = 1;
    if (depth == 0)
        then();
    else
        shapes_deep(depth - 1, then);
    return room[depth % 4096];
}

static callback handled;

static void on_signal(int)
{
    handled();
}

static void *other_stack()
{
    return mmap(nullptr, 1 << 18, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

extern "C" __attribute__((noinline)) int shapes_signal(callback then)
{
    stack_t stack = {};
    struct sigaction action = {};
    stack.ss_sp = other_stack();
    stack.ss_size = 1 << 18;
    sigaltstack(&stack, nullptr);
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);
    handled = then;
    raise(SIGUSR1);
    return 1;
}

static ucontext_t creator, coroutine;

static void run_coroutine()
{
    handled();
}

extern "C" __attribute__((noinline)) int shapes_coroutine(callback then)
{
    handled = then;
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = other_stack();
    coroutine.uc_stack.ss_size = 1 << 18;
    coroutine.uc_link = &creator;
    makecontext(&coroutine, run_coroutine, 0);
    swapcontext(&creator, &coroutine);
    return 1;
}

// Its parent waits for it, and nothing interrupts that.
extern "C" int shapes_vfork()
{
    if (vfork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return 1;
}
