/* walk_oracle PID EDGES SECONDS [unvalidated|paced|stopped|attaching]
 * Samples flat out (paced: once in a random millisecond or two) and checks every stack against the
 * calls that the program may make: a path with a step that is none of them is impossible.
 * Stopped: as paced, and the target stands still while it is read. Attaching: begins anew every few
 * samples. Prints counts, leaf shares and times as JSON.
 *
 * A target that somebody took off its CPU shows one stack for as long as the oracle runs, and one
 * in the middle of a call as often as any other: what a thread shows more than STILL times on end
 * is one observation, the rest is counted as still. */
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "attach.h"
#include "base/clock.h"
#include "base/map.h"
#include "hold.h"

enum { NAME_MAX_BYTES = 48, EXAMPLES = 10, STILL = 16, THREADS = 64, ATTACHED_FOR = 40 };

enum outcome { GOOD, IMPOSSIBLE, TORN };

/* The same outcome of the same stack, met on end. */
struct stretch {
    uint64_t tstate, key, length;
    enum outcome outcome;
    bool trimmed;
};

/* One step of a path: who, at which line, calls whom. Zero-padded: a map key. */
struct step {
    char caller[NAME_MAX_BYTES], callee[NAME_MAX_BYTES];
    int64_t line;
};

struct oracle {
    struct pst_map *steps;
    json_t *leaves, *examples;
    struct stretch stretches[THREADS];
    bool paced;
    pid_t held; /* 0: not stopped */
    uint64_t stacks, kept, impossible, torn, trimmed, empty, frames, still;
    uint64_t attachments, wrong_attachments;
};

static void set_name(char *dst, const char *text, size_t len)
{
    memset(dst, 0, NAME_MAX_BYTES);
    memcpy(dst, text, len < NAME_MAX_BYTES ? len : NAME_MAX_BYTES - 1);
}

static void load_steps(struct oracle *oracle, const char *path)
{
    char line[256], caller[64], callee[64];
    FILE *in = fopen(path, "r");
    int number;

    oracle->steps = pst_map_new(sizeof(struct step), 1, 4096);
    while (in && oracle->steps && fgets(line, sizeof(line), in)) {
        struct step step;
        void *value;
        if (sscanf(line, "%63s %d %63s", caller, &number, callee) != 3)
            continue;
        set_name(step.caller, caller, strlen(caller));
        set_name(step.callee, callee, strlen(callee));
        step.line = number;
        (void)pst_map_put(oracle->steps, &step, &value, NULL);
    }
    if (in)
        (void)fclose(in);
}

static bool is_generated(const struct pst_py_code *code)
{
    return pst_str_starts(code->name, PST_STR("made_"));
}

/* The name that the edges have for it: code of other files is one caller. */
static struct pst_str step_name(const struct pst_py_code *code)
{
    struct pst_str base = pst_str_basename(code->filename);
    bool own = pst_str_starts(base, PST_STR("walker_")) || pst_str_starts(base, PST_STR("<"));

    return own ? code->name : PST_STR("*");
}

/* A generated function made_N stands in <made_N> and calls a1 from its second line. */
static bool step_allowed(const struct oracle *oracle, const struct pst_py_code *caller,
                         int32_t line, const struct pst_py_code *callee)
{
    struct step step;

    if (is_generated(caller)) {
        return line == 2 && pst_str_eq(callee->name, PST_STR("a1")) &&
               caller->filename.len == caller->name.len + 2 &&
               memcmp(caller->filename.ptr + 1, caller->name.ptr, caller->name.len) == 0;
    }
    struct pst_str from = step_name(caller), to = step_name(callee);
    set_name(step.caller, from.ptr, from.len);
    if (is_generated(callee))
        set_name(step.callee, "made_*", 6);
    else
        set_name(step.callee, to.ptr, to.len);
    step.line = pst_str_eq(from, PST_STR("*")) ? 0 : line;
    return pst_map_get(oracle->steps, &step) != NULL;
}

static void keep_example(struct oracle *oracle, const struct pst_python *python,
                         const struct pst_py_frame *frames, uint32_t count)
{
    char text[512] = "";
    size_t used = 0;

    if (json_array_size(oracle->examples) >= EXAMPLES)
        return;
    for (uint32_t i = 0; i < count && i < 8 && used < sizeof(text) - 80; i++) {
        const struct pst_py_code *code = pst_python_code(python, frames[i].code);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%.*s:%d ",
                                 (int)(code->name.len < 40 ? code->name.len : 40), code->name.ptr,
                                 frames[i].line);
    }
    json_array_append_new(oracle->examples, json_string(text));
}

static void count_leaf(struct oracle *oracle, struct pst_str name)
{
    char text[NAME_MAX_BYTES];

    set_name(text, name.ptr, name.len);
    json_t *old = json_object_get(oracle->leaves, text);
    json_object_set_new(oracle->leaves, text, json_integer(json_integer_value(old) + 1));
}

/* What spin does, its caller asked for. */
static struct pst_str leaf_name(const struct pst_python *python, const struct pst_py_frame *frames,
                                uint32_t count)
{
    struct pst_str name = pst_python_code(python, frames[0].code)->name;

    if (pst_str_eq(name, PST_STR("spin")) && count > 1)
        return pst_python_code(python, frames[1].code)->name;
    return name;
}

/* A whole stack begins with a module, or with what the file says that threads run. */
static bool is_root(const struct oracle *oracle, struct pst_str name)
{
    struct step step = {.line = 0};

    if (pst_str_eq(name, PST_STR("<module>")))
        return true;
    set_name(step.caller, "<thread>", 8);
    set_name(step.callee, name.ptr, name.len);
    return pst_map_get(oracle->steps, &step) != NULL;
}

static enum outcome check(struct oracle *oracle, const struct pst_python *python,
                          const struct pst_py_frame *frames, uint32_t count)
{
    struct pst_str root = pst_python_code(python, frames[count - 1].code)->name;
    bool good = is_root(oracle, root);

    for (uint32_t i = count - 1; i > 0 && good; i--)
        good = step_allowed(oracle, pst_python_code(python, frames[i].code), frames[i].line,
                            pst_python_code(python, frames[i - 1].code));
    if (!good)
        keep_example(oracle, python, frames, count);
    count_leaf(oracle, leaf_name(python, frames, count));
    return good ? GOOD : IMPOSSIBLE;
}

static uint64_t key_of(const struct pst_py_frame *frames, const struct pst_py_thread *thread)
{
    uint64_t key = thread->verdict;

    for (uint32_t i = 0; i < thread->frame_count; i++)
        key = (key ^ ((uint64_t)frames[i].code << 32 | (uint32_t)frames[i].line)) *
              UINT64_C(0x9e3779b97f4a7c15);
    return key;
}

static void count_stretch(struct oracle *oracle, const struct stretch *stretch)
{
    uint64_t n = stretch->length > STILL && !oracle->paced ? 1 : stretch->length;

    oracle->still += stretch->length - n;
    oracle->stacks += n;
    if (stretch->outcome == TORN) {
        oracle->torn += n;
        return;
    }
    oracle->kept += n;
    oracle->trimmed += stretch->trimmed ? n : 0;
    oracle->impossible += stretch->outcome == IMPOSSIBLE ? n : 0;
}

static void end_stretches(struct oracle *oracle)
{
    for (int i = 0; i < THREADS; i++) {
        count_stretch(oracle, &oracle->stretches[i]);
        oracle->stretches[i] = (struct stretch){0};
    }
}

static void take(struct oracle *oracle, const struct pst_python *python,
                 const struct pst_py_sample *sample)
{
    for (size_t i = 0; i < sample->thread_count && i < THREADS; i++) {
        const struct pst_py_thread *thread = &sample->threads[i];
        const struct pst_py_frame *frames = sample->frames + thread->first_frame;
        struct stretch *stretch = &oracle->stretches[i];
        uint64_t key = key_of(frames, thread);
        enum outcome outcome = TORN;
        oracle->frames += thread->frame_count;
        oracle->empty += thread->verdict == PST_V_OK && thread->frame_count == 0;
        if (thread->verdict == PST_V_OK)
            outcome =
                thread->frame_count ? check(oracle, python, frames, thread->frame_count) : GOOD;
        if (stretch->length == 0 || stretch->tstate != thread->tstate || stretch->key != key ||
            stretch->trimmed != thread->trimmed) {
            count_stretch(oracle, stretch);
            *stretch = (struct stretch){thread->tstate, key, 0, outcome, thread->trimmed};
        }
        stretch->length++;
    }
}

static void stay_off_the_first_cpu(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1) {
        CPU_CLR(0, &set);
        (void)sched_setaffinity(0, sizeof(set), &set);
    }
}

/* Where it may: others on the machine would make it read a target that stands still. */
static void come_first(void)
{
    (void)sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 1});
}

static double cpu_seconds(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(const struct oracle *oracle, const struct attached *a, uint64_t calls,
                   double cpu, long peak_kib)
{
    struct pst_py_stats stats;
    json_t *verdicts = json_object(), *out = json_object();

    pst_python_stats(a->python, &stats);
    for (int i = 0; i < PST_VERDICT_COUNT; i++) {
        if (stats.verdicts[i])
            json_object_set_new(verdicts, pst_verdict_word((enum pst_verdict)i),
                                json_integer((json_int_t)stats.verdicts[i]));
    }
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"stacks", oracle->stacks},
        {"kept", oracle->kept},
        {"impossible", oracle->impossible},
        {"torn", oracle->torn},
        {"trimmed", oracle->trimmed},
        {"empty", oracle->empty},
        {"still", oracle->still},
        {"attachments", oracle->attachments},
        {"wrong_attachments", oracle->wrong_attachments},
        {"retries", stats.retries},
        {"overlong", stats.overlong},
        {"code_hits", stats.code_hits},
        {"code_misses", stats.code_misses},
        {"peak_kib", (uint64_t)peak_kib},
    };
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        json_object_set_new(out, counts[i].name, json_integer((json_int_t)counts[i].value));
    double n = oracle->stacks + oracle->still ? (double)(oracle->stacks + oracle->still) : 1.0;
    json_object_set_new(out, "cpu_us_per_stack", json_real(cpu * 1e6 / n));
    json_object_set_new(out, "calls_per_stack", json_real((double)calls / n));
    json_object_set_new(out, "mean_depth", json_real((double)oracle->frames / n));
    json_object_set_new(out, "verdicts", verdicts);
    json_object_set(out, "leaves", oracle->leaves);
    json_object_set(out, "examples", oracle->examples);
    json_dumpf(out, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(out);
}

/* False when the target ended. */
static bool sample_for(struct oracle *oracle, struct attached *a, uint64_t end_ns, int most)
{
    struct pst_py_sample sample;

    for (int i = 0; pst_clock_monotonic_ns() < end_ns && (most == 0 || i < most); i++) {
        if (oracle->held && !hold(oracle->held))
            return false;
        enum pst_verdict verdict = pst_python_sample(a->python, NULL, NULL, &sample);
        if (oracle->held)
            release(oracle->held);
        if (verdict != PST_V_OK)
            return false;
        take(oracle, a->python, &sample);
        if (oracle->paced)
            (void)nanosleep(&(struct timespec){.tv_nsec = 200000 + random() % 1600000}, NULL);
    }
    end_stretches(oracle);
    return true;
}

/* What an attachment learns wrong it keeps: each is judged by itself. */
static void attach_again_and_again(struct oracle *oracle, pid_t pid, struct attached *a,
                                   uint64_t end_ns)
{
    while (pst_clock_monotonic_ns() < end_ns) {
        uint64_t before = oracle->impossible;
        if (!sample_for(oracle, a, end_ns, ATTACHED_FOR))
            return;
        oracle->attachments++;
        oracle->wrong_attachments += oracle->impossible > before;
        detach(a);
        attach(pid, a);
    }
}

int main(int argc, char **argv)
{
    struct oracle oracle = {.leaves = json_object(), .examples = json_array()};
    struct attached a;
    struct rusage usage;

    if (argc < 4)
        return 2;
    const char *mode = argc > 4 ? argv[4] : "";
    load_steps(&oracle, argv[2]);
    stay_off_the_first_cpu();
    come_first();
    attach((pid_t)atol(argv[1]), &a);
    if (strcmp(mode, "unvalidated") == 0)
        pst_python_disable_validation(a.python);
    if (strcmp(mode, "stopped") == 0 && hold_begin((pid_t)atol(argv[1])))
        oracle.held = (pid_t)atol(argv[1]);
    oracle.paced = oracle.held || strcmp(mode, "paced") == 0;
    uint64_t end_ns = pst_clock_monotonic_ns() + (uint64_t)(atof(argv[3]) * 1e9);
    uint64_t calls = pst_memory_calls(a.memory);
    double cpu = cpu_seconds();
    if (strcmp(mode, "attaching") == 0) {
        attach_again_and_again(&oracle, (pid_t)atol(argv[1]), &a, end_ns);
        calls = 0;
    } else {
        (void)sample_for(&oracle, &a, end_ns, 0);
    }
    end_stretches(&oracle);
    cpu = cpu_seconds() - cpu;
    calls = pst_memory_calls(a.memory) - calls;
    (void)getrusage(RUSAGE_SELF, &usage);
    report(&oracle, &a, calls, cpu, usage.ru_maxrss);
    json_decref(oracle.leaves);
    json_decref(oracle.examples);
    pst_map_free(oracle.steps);
    detach(&a);
    return 0;
}
