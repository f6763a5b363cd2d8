/* Frame labels and short file names. */
#include "render/frame.h"

#include "frame_package.h"

/* Index behind the last occurrence of needle, 0 when there is none. */
static size_t behind_last(struct pst_str path, struct pst_str needle)
{
    for (size_t at = path.len; at >= needle.len; at--)
        if (memcmp(path.ptr + at - needle.len, needle.ptr, needle.len) == 0)
            return at;
    return 0;
}

/* Index behind ".../pythonX.Y[t]/", 0 when there is none. */
static size_t behind_library(struct pst_str path)
{
    size_t at = behind_last(path, PST_STR("/python"));
    size_t start = at;

    while (at && at < path.len && path.ptr[at] != '/')
        at++;
    if (!start || at == path.len || at == start || path.ptr[start] < '0' || path.ptr[start] > '9')
        return 0;
    return at + 1;
}

/* Index behind the folder that packages are installed in, 0 when there is none. */
static size_t behind_installed(struct pst_str path)
{
    size_t from = behind_last(path, PST_STR("/site-packages/"));

    if (!from)
        from = behind_last(path, PST_STR("/dist-packages/"));
    if (!from)
        from = behind_library(path);
    return from < path.len ? from : 0;
}

static struct pst_str behind(struct pst_str path, size_t from)
{
    return from < path.len ? (struct pst_str){path.ptr + from, path.len - from} : path;
}

struct pst_str pst_frame_short_file(struct pst_str path)
{
    if (!path.len || path.ptr[0] != '/')
        return path;
    size_t from = behind_installed(path);
    if (!from) {
        size_t file = pst_str_rfind(path, '/');
        size_t folder = pst_str_rfind((struct pst_str){path.ptr, file}, '/');

        from = folder < file ? folder + 1 : file + 1;
    }
    return behind(path, from);
}

struct pst_str pst_frame_file(const struct pst_frame_files *files, struct pst_str path)
{
    struct pst_str found;
    size_t installed = behind_installed(path);

    if (installed)
        return behind(path, installed);
    if (files && files->find && files->find(files->context, path, &found))
        return found;
    return pst_frame_short_file(path);
}

struct pst_str pst_frame_package(struct pst_str path)
{
    struct pst_str file = pst_frame_short_file(path);

    file.len = pst_str_find(file, '/');
    return file;
}

int pst_frame_label(const struct pst_profile *profile, uint32_t location, unsigned flags,
                    const struct pst_frame_files *files, struct pst_buf *out)
{
    const struct pst_function *function;
    struct pst_str name, file;
    uint32_t id;
    int64_t line;
    int rc;

    pst_profile_location_at(profile, location, &id, &line);
    function = pst_profile_function_at(profile, id);
    name = pst_profile_text(profile, function->name);
    file = pst_profile_text(profile, function->filename);
    if (flags & PST_FRAME_FUNCTIONS)
        line = function->start_line;
    if (!(flags & PST_FRAME_FULL_FILES))
        file = pst_frame_file(files, file);
    rc = pst_buf_str(out, name);
    if (rc < 0 || !file.len)
        return rc;
    rc = pst_buf_puts(out, " (");
    if (rc == 0)
        rc = pst_buf_str(out, file);
    if (rc == 0 && line > 0 && !(flags & PST_FRAME_NO_LINES))
        rc = pst_buf_printf(out, ":%lld", (long long)line);
    return rc < 0 ? rc : pst_buf_puts(out, ")");
}

int pst_frame_thread(int64_t tid, struct pst_str name, struct pst_buf *out)
{
    int rc = pst_buf_puts(out, "thread");

    if (rc == 0 && tid)
        rc = pst_buf_printf(out, " (%lld)", (long long)tid);
    if (rc < 0 || !name.len)
        return rc;
    rc = pst_buf_puts(out, ": ");
    return rc < 0 ? rc : pst_buf_str(out, name);
}
