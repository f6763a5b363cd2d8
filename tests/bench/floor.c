/* The least that any sampler from outside can do: wake up, read one stack's worth of bytes twice
 * with one process_vm_readv, sleep. Usage: floor PID ADDRESS BYTES HZ SECONDS; prints ticks and CPU
 * nanoseconds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

enum { STATE_BYTES = 256, STACK_BYTES = 65536 };

static int64_t now_ns(clockid_t clock)
{
    struct timespec at;
    (void)clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void sleep_until(int64_t when_ns)
{
    struct timespec at = {.tv_sec = when_ns / 1000000000, .tv_nsec = when_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
        ;
}

int main(int argc, char **argv)
{
    static char state[STATE_BYTES], first[STACK_BYTES], second[STACK_BYTES];

    if (argc != 6)
        return 2;
    pid_t pid = (pid_t)strtol(argv[1], NULL, 10);
    void *address = (void *)(uintptr_t)strtoull(argv[2], NULL, 10);
    size_t bytes = strtoull(argv[3], NULL, 10);
    int64_t hz = strtoll(argv[4], NULL, 10), seconds = strtoll(argv[5], NULL, 10);
    if (bytes > STACK_BYTES || hz < 1)
        return 2;
    struct iovec local[3] = {{state, STATE_BYTES}, {first, bytes}, {second, bytes}};
    struct iovec remote[3] = {{address, STATE_BYTES}, {address, bytes}, {address, bytes}};
    int64_t begun = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID), ticks = 0;
    while (now_ns(CLOCK_MONOTONIC) - begun < seconds * 1000000000) {
        if (process_vm_readv(pid, local, 3, remote, 3, 0) < 0) {
            perror("process_vm_readv");
            return 1;
        }
        ticks++;
        sleep_until(begun + ticks * (1000000000 / hz));
    }
    printf("%lld %lld\n", (long long)ticks, (long long)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu));
    return 0;
}
