/* Runs two CPython runtimes in one process: HOW LIBRARY HOME CODE LIBRARY HOME CODE, HOW being
 * "local" (dlopen without sharing symbols) or "namespace" (dlmopen, so that the libraries may even
 * be the same file), or "later" (the first is loaded, as a plugin is, when a line arrives). The
 * first has the main thread, the second one of its own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct python {
    void (*initialize)(int);
    int (*run)(const char *, void *);
    const char *code;
};

static void load(struct python *python, int in_namespace, char **words)
{
    void *library = in_namespace ? dlmopen(LM_ID_NEWLM, words[0], RTLD_NOW | RTLD_LOCAL)
                                 : dlopen(words[0], RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    python->initialize = (void (*)(int))dlsym(library, "Py_InitializeEx");
    python->run = (int (*)(const char *, void *))dlsym(library, "PyRun_SimpleStringFlags");
    python->code = words[2];
}

static void *start(void *context)
{
    struct python *python = context;

    python->initialize(0);
    python->run(python->code, NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    struct python first, second;
    pthread_t thread;

    if (argc != 8)
        return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    load(&second, 0, argv + 5);
    int later = strcmp(argv[1], "later") == 0;
    if (!later)
        load(&first, strcmp(argv[1], "namespace") == 0, argv + 2);
    setenv("PYTHONHOME", argv[6], 1);
    pthread_create(&thread, NULL, start, &second);
    /* The second says "up" by a file when it has read its home. */
    for (char c; fread(&c, 1, 1, stdin) == 1 && c != '\n';)
        continue;
    if (later)
        load(&first, 0, argv + 2);
    setenv("PYTHONHOME", argv[3], 1);
    start(&first);
    return 0;
}
