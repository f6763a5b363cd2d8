/* fake_runtime KIND: a program without any Python that says it were one: it exports the symbols of
 * a runtime, or carries the cookie of one, over lists that never end, over lengths beyond any, over
 * nothing. Prints "up" and waits. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORDS = 16384, STATES = 100000, STATE_WORDS = 64 };

uint64_t _PyRuntime[WORDS] = {1};
uint32_t Py_Version = 0x030b07f0;
uint64_t pages[1 << 16] = {1}; /* so that the program is large enough to be looked at */

static uint64_t *list(size_t count, size_t next_word)
{
    uint64_t *first = mmap(NULL, count * STATE_WORDS * 8, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < count; i++)
        first[i * STATE_WORDS + next_word] =
            (uint64_t)(uintptr_t)(first + (i + 1) % count * STATE_WORDS);
    return first;
}

/* As 3.11 has it: interpreters.head at 40; of an interpreter next at 0, threads.head at 16; of a
 * thread next at 8, interp at 16. */
static void version_3_11(const char *kind)
{
    size_t interpreters = strcmp(kind, "interpreters") == 0 ? STATES : 1;
    uint64_t *interpreter = list(interpreters, 0);
    uint64_t *thread = list(strcmp(kind, "threads") == 0 ? STATES : 1, 1);

    if (interpreters == 1)
        interpreter[0] = 0;
    interpreter[2] = (uint64_t)(uintptr_t)thread;
    for (size_t i = 0; strcmp(kind, "threads") == 0 && i < STATES; i++) {
        thread[i * STATE_WORDS + 2] = (uint64_t)(uintptr_t)interpreter;
        thread[i * STATE_WORDS + 19] = 4096 + i * 8; /* pthread_t */
        thread[i * STATE_WORDS + 30] = i + 1;        /* id */
    }
    _PyRuntime[5] = (uint64_t)(uintptr_t)interpreter;
    if (strcmp(kind, "chunks") == 0) { /* a data stack that comes back to itself, 16 MiB a round */
        uint64_t *chunk = mmap(NULL, 1 << 24, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        uint64_t *frame = chunk + 3;
        chunk[0] = (uint64_t)(uintptr_t)chunk;
        chunk[1] = 1 << 24;
        frame[6] = (uint64_t)(uintptr_t)frame; /* previous */
        frame[4] = (uint64_t)(uintptr_t)frame;
        thread[1] = 0;
        thread[2] = (uint64_t)(uintptr_t)interpreter;
        thread[7] = (uint64_t)(uintptr_t)(thread + 48);
        thread[49] = (uint64_t)(uintptr_t)frame;
        thread[37] = (uint64_t)(uintptr_t)chunk;
        thread[38] = (uint64_t)(uintptr_t)(chunk + (1 << 20));
        thread[20] = (uint64_t)getpid();
    }
}

/* As 3.13 and later describe themselves, with numbers past everything. */
static void described(const char *kind)
{
    Py_Version = 0x030d00f0;
    memcpy(_PyRuntime, "xdebugpy", 8);
    _PyRuntime[1] = Py_Version;
    for (int i = 2; i < 111; i++)
        _PyRuntime[i] = strcmp(kind, "offsets") == 0 ? UINT64_MAX : 8;
    _PyRuntime[2] = 0;
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";

    if (strcmp(kind, "offsets") == 0 || strcmp(kind, "eights") == 0)
        described(kind);
    else if (strcmp(kind, "garbage") == 0)
        for (int i = 0; i < WORDS; i++)
            _PyRuntime[i] = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
    else
        version_3_11(kind);
    puts("up");
    fflush(stdout);
    return pause() + (int)pages[7];
}
