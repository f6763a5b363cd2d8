/* What Python itself knows by name: threads (threading._active), os.environ and sys.orig_argv.
 * Optional data: it is read with a budget of its own, seldom, and never in the way of a stack. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "internal.h"
#include "text.h"

enum {
    NAME_AGE_S = 5,
    NAMES_READS = 20000,
    ARGUMENTS_MAX = 128, /* as many as are looked at for an application's name */
    READ_SHARE = 200,    /* reading all names again takes at most one part in so many of the time */
};

static void set_name(struct pst_python *python, struct pst_thread *thread, uint64_t object)
{
    const char *attribute = python->layout.version < 0x0300 ? "_Thread__name" : "_name";
    uint64_t text = pst_attribute_find(python, object, attribute);
    struct pst_buf buf;

    if (text == 0)
        return;
    pst_buf_init(&buf, PST_MAX_STRING_BYTES);
    if (pst_text_read(python->memory, &python->layout, text, &buf) == 0 && buf.len > 0) {
        free(thread->name);
        thread->name = pst_buf_steal(&buf, NULL);
    }
    pst_buf_done(&buf);
}

static void name_thread(struct pst_python *python, uint64_t interp, uint64_t ident, uint64_t object)
{
    for (uint32_t i = 0; i < python->thread_count; i++) {
        struct pst_thread *thread = &python->threads[i];
        if (thread->interp_address == interp && thread->pthread == ident) {
            set_name(python, thread, object);
            return;
        }
    }
}

/* What passes on a busy machine is not what reading costs. */
static uint64_t own_cpu_ns(void)
{
    struct timespec used = {0};

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * PST_NS_PER_S + (uint64_t)used.tv_nsec;
}

/* A thread that starts is not in threading._active yet: then all are read again soon, but the more
 * seldom the longer that takes. */
static bool names_are_old(const struct pst_python *python, bool known, uint64_t now_ns)
{
    uint64_t age_ns = known ? NAME_AGE_S * PST_NS_PER_S : READ_SHARE * python->names_took_ns;

    return python->names_read_ns == 0 || now_ns - python->names_read_ns >= age_ns;
}

static void name_as(struct pst_python *python, struct pst_thread *nameless)
{
    for (uint32_t i = 0; i < python->thread_count && !nameless->name; i++) {
        const struct pst_thread *thread = &python->threads[i];
        if (thread->name && thread->pthread == nameless->pthread)
            nameless->name = strdup(thread->name);
    }
}

/* A thread that runs code in another interpreter has a state there too, of which that interpreter's
 * threading, if it was imported at all, knows no name. */
static void share_names(struct pst_python *python)
{
    for (uint32_t i = 0; i < python->thread_count && python->interp_count > 1; i++) {
        if (!python->threads[i].name)
            name_as(python, &python->threads[i]);
    }
}

static void read_names(struct pst_python *python)
{
    pst_memory_budget(python->memory, PST_MAX_TARGET_SAMPLE_BYTES, NAMES_READS);
    for (uint32_t i = 0; i < python->interp_count; i++) {
        uint64_t interp = python->interps[i].address;
        uint64_t active = pst_module_find(python, interp, "threading", "_active");
        pst_autofree struct pst_pair *pairs = NULL;
        int count = active ? pst_dict_pairs(python, active, &pairs) : 0;
        for (int k = 0; k < count; k++) {
            uint64_t ident;
            if (pst_int_read(python, pairs[k].key, &ident))
                name_thread(python, interp, ident, pairs[k].value);
        }
    }
    share_names(python);
}

bool pst_python_thread_name(struct pst_python *python, uint64_t tstate, struct pst_str *ret_name)
{
    struct pst_thread *thread = NULL;
    uint64_t now = pst_clock_monotonic_ns();

    for (uint32_t i = 0; i < python->thread_count && !thread; i++) {
        if (python->threads[i].address == tstate)
            thread = &python->threads[i];
    }
    if (!thread)
        return python->second && pst_python_thread_name(python->second, tstate, ret_name);
    if (names_are_old(python, thread->name != NULL, now)) {
        uint64_t used_ns = own_cpu_ns();
        read_names(python);
        python->names_read_ns = now;
        python->names_took_ns = own_cpu_ns() - used_ns;
    }
    if (!thread->name)
        return false;
    *ret_name = pst_str(thread->name);
    return true;
}

static uint64_t environ_value(struct pst_python *python, const char *name)
{
    const char *attribute = python->layout.version < 0x0300 ? "data" : "_data";

    for (uint32_t i = 0; i < python->interp_count; i++) {
        uint64_t interp = python->interps[i].address;
        uint64_t mapping = pst_module_find(python, interp, "os", "environ");
        uint64_t data = mapping ? pst_attribute_find(python, mapping, attribute) : 0;
        uint64_t value = data ? pst_dict_find(python, data, name, true) : 0;
        if (value)
            return value;
    }
    return 0;
}

int pst_python_environ(struct pst_python *python, const char *name, char *dst, size_t size)
{
    struct pst_buf buf;

    pst_memory_budget(python->memory, PST_MAX_TARGET_SAMPLE_BYTES, NAMES_READS);
    uint64_t value = environ_value(python, name);
    if (value == 0)
        return -ENOENT;
    pst_buf_init(&buf, size > 0 ? size - 1 : 0);
    int error = pst_bytes_read(python->memory, &python->layout, value, buf.max, &buf);
    if (error == 0 && size > 0) {
        memcpy(dst, buf.data ? buf.data : "", buf.len);
        dst[buf.len] = 0;
    }
    pst_buf_done(&buf);
    return error;
}

/* One of sys' lists; 0: none of the interpreters has it. */
static uint64_t sys_list(struct pst_python *python, const char *name)
{
    uint64_t list = 0;

    for (uint32_t i = 0; i < python->interp_count && list == 0; i++)
        list = pst_module_find(python, python->interps[i].address, "sys", name);
    return list;
}

static int append_argument(struct pst_python *python, uint64_t object, struct pst_buf *out)
{
    struct pst_buf text __attribute__((cleanup(pst_buf_done)));

    pst_buf_init(&text, PST_MAX_STRING_BYTES);
    int error = pst_text_read(python->memory, &python->layout, object, &text);
    if (error == 0 && out->len + text.len + 1 > out->max)
        return -EFBIG;
    if (error == 0)
        error = pst_buf_str(out, pst_buf_view(&text));
    return error == 0 ? pst_buf_append(out, "", 1) : error;
}

static int append_list(struct pst_python *python, uint64_t list, struct pst_buf *out)
{
    const struct pst_layout *l = &python->layout;
    uint64_t count, items, objects[ARGUMENTS_MAX];
    int error = 0;

    if (pst_memory_u64(python->memory, list + l->object.bytes_size, &count) < 0 ||
        pst_memory_u64(python->memory, list + l->object.list_items, &items) < 0 || count == 0)
        return -ENOENT;
    if (count > ARGUMENTS_MAX)
        count = ARGUMENTS_MAX;
    if (pst_memory_read(python->memory, items, objects, count * sizeof(*objects)) < 0)
        return -EFAULT;
    for (uint64_t i = 0; i < count && error == 0; i++)
        error = append_argument(python, objects[i], out);
    return error == -EFBIG ? 0 : error;
}

int pst_python_arguments(struct pst_python *python, struct pst_buf *out)
{
    pst_memory_budget(python->memory, PST_MAX_TARGET_SAMPLE_BYTES, NAMES_READS);
    uint64_t list = sys_list(python, "orig_argv");
    if (list != 0)
        return append_list(python, list, out);
    list = sys_list(python, "argv");
    if (list == 0)
        return -ENOENT;
    int error = pst_buf_append(out, "python", sizeof("python"));
    return error == 0 ? append_list(python, list, out) : error;
}
