/* walk_whole PID COUNT: samples COUNT times and asks for all that can be asked of a sample: names
 * with classes, threads, variables, environment. Prints how many variables it was told. */
#include <stdio.h>
#include <stdlib.h>

#include "attach.h"
#include "python/values.h"

enum { FRAMES_SHOWN = 6, SHOWN_ONE_IN = 16 };

static bool secret(void *context, struct pst_str name)
{
    (void)context;
    return pst_str_eq(name, PST_STR("password"));
}

static size_t shown(struct pst_python *python, const struct pst_py_sample *sample, bool still)
{
    const struct pst_py_value_options options = {.still = still, .chars = 128, .secret = secret};
    struct pst_py_variables variables;
    size_t told = 0;

    for (size_t t = 0; t < sample->thread_count; t++) {
        const struct pst_py_thread *thread = &sample->threads[t];
        for (uint32_t f = 0; f < thread->frame_count && f < FRAMES_SHOWN; f++) {
            if (pst_python_variables(python, thread->first_frame + f, f == 0, &options,
                                     &variables) < 0)
                continue;
            told += variables.count;
            pst_py_variables_done(&variables);
        }
    }
    return told;
}

int main(int argc, char **argv)
{
    struct attached a;
    struct pst_py_sample sample;
    struct pst_str name;
    char value[64];
    size_t told = 0;

    if (argc < 3)
        return 2;
    attach((pid_t)atol(argv[1]), &a);
    pst_python_name_classes(a.python, true);
    pst_python_keep_places(a.python);
    for (long i = 0; i < atol(argv[2]); i++) {
        if (pst_python_sample(a.python, NULL, NULL, &sample) != PST_V_OK)
            continue;
        for (size_t t = 0; t < sample.thread_count; t++)
            (void)pst_python_thread_name(a.python, sample.threads[t].tstate, &name);
        if (i % SHOWN_ONE_IN == 0)
            told += shown(a.python, &sample, i % (2 * SHOWN_ONE_IN) == 0);
    }
    (void)pst_python_environ(a.python, "PATH", value, sizeof(value));
    printf("%zu variables\n", told);
    detach(&a);
    return told > 0 ? 0 : 1;
}
