/* A few generated files, read once each. */
#include "cython.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "target/rootfs.h"

enum { FILES = 64, MARKS = 1 << 20 };

struct mark {
    int c_line, line;
    struct pst_str file; /* view of text */
};

struct generated {
    char *path, *text;
    struct mark *marks; /* by C line */
    size_t count, cap;
};

struct pst_cython_files {
    pid_t pid;
    struct generated file[FILES];
    size_t count;
};

struct pst_cython_files *pst_cython_files_new(pid_t pid)
{
    struct pst_cython_files *files = calloc(1, sizeof(*files));

    if (files)
        files->pid = pid;
    return files;
}

struct pst_cython_files *pst_cython_files_free(struct pst_cython_files *files)
{
    for (size_t i = 0; files && i < files->count; i++) {
        free(files->file[i].path);
        free(files->file[i].text);
        free(files->file[i].marks);
    }
    free(files);
    return NULL;
}

/* The whole file, NUL behind it; NULL when it cannot be had. */
static char *read_text(pid_t pid, const char *path, size_t *ret_len)
{
    struct stat st;
    pst_autofd int found = pst_rootfs_open(pid, path);

    if (found < 0 || fstat(found, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
        st.st_size > PST_MAX_CYTHON_SOURCE_BYTES)
        return NULL;
    pst_autofd int fd = pst_rootfs_reopen(found);
    char *text = fd < 0 ? NULL : malloc((size_t)st.st_size + 1);
    size_t len = 0;
    ssize_t got = 1;
    while (text && len < (size_t)st.st_size && got > 0) {
        got = pread(fd, text + len, (size_t)st.st_size - len, (off_t)len);
        len += got > 0 ? (size_t)got : 0;
    }
    if (text)
        text[len] = 0;
    *ret_len = len;
    return text;
}

/* A comment / * "FILE":LINE at the beginning of a line, after blanks. */
static bool parse_mark(struct pst_str line, struct mark *ret)
{
    uint64_t number;

    line = pst_str_trim(line);
    if (!pst_str_starts(line, PST_STR("/* \"")))
        return false;
    line = (struct pst_str){line.ptr + 4, line.len - 4};
    size_t quote = pst_str_find(line, '"');
    if (quote + 2 > line.len || line.ptr[quote + 1] != ':')
        return false;
    struct pst_str digits = {line.ptr + quote + 2, line.len - quote - 2};
    digits.len = strspn(digits.ptr, "0123456789");
    if (pst_str_u64(digits, 10, INT32_MAX, &number) < 0)
        return false;
    ret->file = (struct pst_str){line.ptr, quote};
    ret->line = (int)number;
    return true;
}

static void add_mark(struct generated *file, const struct mark *mark)
{
    if (file->count == file->cap) {
        size_t cap = file->cap ? file->cap * 2 : 256;
        struct mark *marks = cap > MARKS ? NULL : realloc(file->marks, cap * sizeof(*marks));
        if (!marks)
            return;
        file->marks = marks;
        file->cap = cap;
    }
    file->marks[file->count++] = *mark;
}

static void parse(struct generated *file, size_t len)
{
    struct pst_str rest = {file->text, len}, line;

    for (int number = 1; pst_str_next(&rest, '\n', &line) && number < INT32_MAX; number++) {
        struct mark mark = {.c_line = number};
        if (parse_mark(line, &mark))
            add_mark(file, &mark);
    }
}

static struct generated *load(struct pst_cython_files *files, const char *path)
{
    size_t len = 0;

    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->file[i].path, path) == 0)
            return &files->file[i];
    if (files->count == FILES)
        return NULL;
    struct generated *file = &files->file[files->count];
    file->path = strdup(path);
    if (!file->path)
        return NULL;
    files->count++;
    file->text = read_text(files->pid, path, &len);
    if (file->text)
        parse(file, len);
    return file;
}

bool pst_cython_line(struct pst_cython_files *files, const char *c_file, int line,
                     struct pst_str *ret_file, int *ret_line)
{
    const struct generated *file = load(files, c_file);
    size_t low = 0, high = file ? file->count : 0;

    while (low < high) { /* the first mark behind the line */
        size_t middle = low + (high - low) / 2;
        if (file->marks[middle].c_line <= line)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *ret_file = file->marks[low - 1].file;
    *ret_line = file->marks[low - 1].line;
    return true;
}
