/* A program that is not called Python and links none: it loads the library named by its first
 * argument when a line arrives on stdin, and runs the program given as its second. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    char line[8];

    if (argc != 3 || !fgets(line, sizeof(line), stdin))
        return 2;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    void (*initialize)(int) = (void (*)(int))dlsym(library, "Py_InitializeEx");
    int (*run)(const char *, void *) =
        (int (*)(const char *, void *))dlsym(library, "PyRun_SimpleStringFlags");
    if (!initialize || !run)
        return 1;
    initialize(0);
    return run(argv[2], NULL);
}
