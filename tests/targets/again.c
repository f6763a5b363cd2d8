/* Starts an interpreter, runs a program in it, ends it, and again: LIBRARY ROUNDS CODE. Each "@" of
 * the code is the number of the round. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *numbered(const char *code, int round)
{
    char *text = calloc(1, strlen(code) * 4 + 1), *out = text;

    for (; text && *code; code++)
        out += *code == '@' ? sprintf(out, "%d", round) : sprintf(out, "%c", *code);
    return text;
}

int main(int argc, char **argv)
{
    void *library = argc == 4 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : NULL;

    if (!library)
        return 1;
    void (*initialize)(int) = (void (*)(int))dlsym(library, "Py_InitializeEx");
    void (*finalize)(void) = (void (*)(void))dlsym(library, "Py_Finalize");
    int (*run)(const char *, void *) =
        (int (*)(const char *, void *))dlsym(library, "PyRun_SimpleStringFlags");
    for (int round = 0; round < atoi(argv[2]); round++) {
        char *code = numbered(argv[3], round);
        initialize(0);
        if (!code || run(code, NULL) != 0)
            return 1;
        finalize();
        free(code);
    }
    return 0;
}
