/* Runs a fuzz target over the files of its corpus, where libFuzzer does not drive it. An empty or
 * missing corpus is a failure: a replay of nothing proves nothing. Every input is also tried cut
 * short at some lengths and with single bits turned over, from a fixed seed, so that plain test
 * runs look at more than what was once saved. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_BYTES = 4 * 1024 * 1024, VARIANTS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Each input is handed over in a block of exactly its size, so that a sanitizer sees the first byte
 * past it. */
static void try_exact(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) {
        return;
    }
    if (size) {
        memcpy(copy, data, size);
    }
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void try_variants(uint8_t *data, size_t size)
{
    uint32_t state = 12345;

    try_exact(data, size);
    for (int i = 0; i < VARIANTS && size; i++) {
        size_t at = next_random(&state) % size;
        uint8_t bit = (uint8_t)(1u << (next_random(&state) % 8));

        try_exact(data, at);
        data[at] ^= bit;
        try_exact(data, size);
        data[at] ^= bit;
    }
}

/* Returns the number of inputs run, or -1. */
static long replay_file(const char *path)
{
    static uint8_t data[INPUT_BYTES];
    FILE *file = fopen(path, "rbe");
    size_t size;

    if (!file) {
        perror(path);
        return -1;
    }
    size = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    try_variants(data, size);
    return 1;
}

static long replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    long count = 0;

    if (!folder) {
        perror(path);
        return -1;
    }
    while ((entry = readdir(folder))) {
        char name[4096];
        struct stat st;

        if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >= (int)sizeof(name)) {
            continue;
        }
        if (stat(name, &st) == 0 && S_ISREG(st.st_mode)) {
            count += replay_file(name) > 0;
        }
    }
    (void)closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    long total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        long count;

        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            return 1;
        }
        count = S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
        if (count < 0) {
            return 1;
        }
        total += count;
    }
    printf("%ld inputs\n", total);
    return total > 0 ? 0 : 1;
}
