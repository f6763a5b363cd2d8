/* Tables of functions, one for each file, least recently used out first. */
#include "functions.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"

enum {
    STEP_SYMBOLS = 2048, /* read at once */
    NAME_BYTES = 4096,
    SIZELESS_BYTES = 256, /* how far a symbol without a size reaches */
    NESTED = 16,          /* functions that begin inside another one, looked past */
    MAX_SIZE = (1 << 28) - 1,
};

/* What a symbol is worth beside others at the same address. */
enum { WEAK = 1, GLOBAL = 2, FUNCTION = 4, SIZED = 8 };

struct function {
    uint64_t start;
    uint32_t size : 28, rank : 4;
    uint32_t name; /* offset in the table of names */
};

struct key {
    uint64_t device, inode, bytes, changed_ns, written_ns, table;
};

struct file {
    struct key key;
    int status; /* 0, or why there is no table */
    struct function *functions;
    size_t count;
    uint64_t names, names_bytes; /* where in the file */
    uint64_t used;
};

struct pst_functions {
    struct file files[PST_MAX_NATIVE_INDEXED_FILES];
    size_t count;
    size_t bytes;
    uint64_t clock;
};

struct pst_functions *pst_functions_new(void)
{
    return calloc(1, sizeof(struct pst_functions));
}

static void drop(struct pst_functions *functions, size_t at)
{
    functions->bytes -= functions->files[at].count * sizeof(struct function);
    free(functions->files[at].functions);
    functions->files[at] = functions->files[--functions->count];
}

struct pst_functions *pst_functions_free(struct pst_functions *functions)
{
    if (!functions)
        return NULL;
    while (functions->count > 0)
        drop(functions, functions->count - 1);
    free(functions);
    return NULL;
}

size_t pst_functions_bytes(const struct pst_functions *functions)
{
    return functions->bytes;
}

/* --- reading a table --- */

static int read_all(int fd, uint64_t offset, void *dst, size_t len)
{
    if (offset > INT64_MAX - len)
        return -EBADMSG;
    ssize_t got = pread(fd, dst, len, (off_t)offset);
    return got == (ssize_t)len ? 0 : got < 0 ? -errno : -EBADMSG;
}

static bool is_function(const Elf64_Sym *symbol)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);

    return symbol->st_shndx != SHN_UNDEF &&
           (symbol->st_shndx < SHN_LORESERVE || symbol->st_shndx == SHN_XINDEX) &&
           (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

static struct function function_of(const Elf64_Sym *symbol)
{
    unsigned bind = ELF64_ST_BIND(symbol->st_info);
    unsigned rank = bind == STB_WEAK ? WEAK : bind == STB_LOCAL ? 0 : GLOBAL;

    rank |= ELF64_ST_TYPE(symbol->st_info) != STT_NOTYPE ? FUNCTION : 0;
    rank |= symbol->st_size > 0 ? SIZED : 0;
    return (struct function){
        .start = symbol->st_value,
        .size = (uint32_t)(symbol->st_size < MAX_SIZE ? symbol->st_size : MAX_SIZE) & MAX_SIZE,
        .rank = rank & 0xf,
        .name = symbol->st_name,
    };
}

static int push(struct file *file, size_t *cap, const struct function *function)
{
    if (file->count == *cap) {
        size_t more = *cap ? *cap * 2 : 1024;
        if (more > PST_MAX_NATIVE_INDEX_BYTES / sizeof(*function))
            return -EFBIG;
        struct function *grown = realloc(file->functions, more * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        file->functions = grown;
        *cap = more;
    }
    file->functions[file->count++] = *function;
    return 0;
}

static int read_symbols(struct file *file, int fd, const GElf_Shdr *section)
{
    Elf64_Sym symbols[STEP_SYMBOLS];
    uint64_t left = section->sh_size / sizeof(symbols[0]), offset = section->sh_offset;
    size_t cap = 0;
    int status = 0;

    while (left > 0 && status == 0) {
        size_t step = left < STEP_SYMBOLS ? (size_t)left : STEP_SYMBOLS;
        status = read_all(fd, offset, symbols, step * sizeof(symbols[0]));
        for (size_t i = 0; i < step && status == 0; i++) {
            struct function function = function_of(&symbols[i]);
            if (is_function(&symbols[i]))
                status = push(file, &cap, &function);
        }
        offset += step * sizeof(symbols[0]);
        left -= step;
    }
    return status;
}

static int in_order(const void *a, const void *b)
{
    const struct function *left = a, *right = b;

    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    if (left->rank != right->rank)
        return left->rank > right->rank ? -1 : 1;
    return left->name < right->name ? -1 : left->name > right->name;
}

/* One for each address: the best. */
static void sort(struct file *file)
{
    size_t kept = 0;

    if (file->count > 1)
        qsort(file->functions, file->count, sizeof(*file->functions), in_order);
    for (size_t i = 0; i < file->count; i++)
        if (kept == 0 || file->functions[kept - 1].start != file->functions[i].start)
            file->functions[kept++] = file->functions[i];
    file->count = kept;
    struct function *smaller = realloc(file->functions, (kept + 1) * sizeof(*smaller));
    if (smaller)
        file->functions = smaller;
}

/* 0, -ENOENT, or -ENOTSUP where the dynamic table is only the poorer half. */
static int find_table(Elf *elf, uint64_t table, GElf_Shdr *ret, GElf_Shdr *ret_names)
{
    Elf_Scn *section = NULL, *names;
    GElf_Shdr header;
    size_t titles;
    bool found = false;

    if (elf_getshdrstrndx(elf, &titles) < 0)
        return -ENOENT;
    while ((section = elf_nextscn(elf, section))) {
        if (!gelf_getshdr(section, &header))
            return -EBADMSG;
        const char *title = elf_strptr(elf, titles, header.sh_name);
        if (table == PST_FUNCTIONS_DYNAMIC && title && strcmp(title, ".gnu_debugdata") == 0)
            return -ENOTSUP;
        if (header.sh_type == (table == PST_FUNCTIONS_ALL ? SHT_SYMTAB : SHT_DYNSYM) && !found) {
            *ret = header;
            found = true;
        }
    }
    names = found ? elf_getscn(elf, ret->sh_link) : NULL;
    bool usable = names && gelf_getshdr(names, ret_names) && ret_names->sh_type == SHT_STRTAB &&
                  ret->sh_entsize == sizeof(Elf64_Sym) &&
                  ((ret->sh_flags | ret_names->sh_flags) & SHF_COMPRESSED) == 0;
    return usable ? 0 : -ENOENT;
}

static int read_table(struct file *file, int fd)
{
    GElf_Shdr table = {0}, names = {0};
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    int status = elf && gelf_getclass(elf) == ELFCLASS64
                     ? find_table(elf, file->key.table, &table, &names)
                     : -ENOENT;

    (void)elf_end(elf);
    if (status == 0 && table.sh_size > PST_MAX_NATIVE_TABLE_BYTES)
        status = -EFBIG;
    if (status == 0)
        status = read_symbols(file, fd, &table);
    if (status < 0) {
        free(file->functions);
        file->functions = NULL;
        file->count = 0;
        return status;
    }
    file->names = names.sh_offset;
    file->names_bytes = names.sh_size;
    sort(file);
    return 0;
}

/* --- what is kept --- */

static uint64_t nanoseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * PST_NS_PER_S + (uint64_t)time.tv_nsec;
}

static size_t oldest(const struct pst_functions *functions)
{
    size_t found = 0;

    for (size_t i = 1; i < functions->count; i++)
        if (functions->files[i].used < functions->files[found].used)
            found = i;
    return found;
}

static struct file *file_of(struct pst_functions *functions, int fd, uint64_t table)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return NULL;
    struct file file = {.key = {st.st_dev, st.st_ino, (uint64_t)st.st_size, nanoseconds(st.st_ctim),
                                nanoseconds(st.st_mtim), table}};
    for (size_t i = 0; i < functions->count; i++)
        if (memcmp(&functions->files[i].key, &file.key, sizeof(file.key)) == 0)
            return &functions->files[i];
    file.status = read_table(&file, fd);
    size_t bytes = file.count * sizeof(struct function);
    while (functions->count > 0 && (functions->count == PST_MAX_NATIVE_INDEXED_FILES ||
                                    functions->bytes > PST_MAX_NATIVE_INDEX_BYTES - bytes))
        drop(functions, oldest(functions));
    functions->bytes += bytes;
    functions->files[functions->count] = file;
    return &functions->files[functions->count++];
}

static bool covers(const struct function *function, uint64_t address)
{
    return address - function->start < function->size;
}

static const struct function *function_at(const struct file *file, uint64_t address)
{
    size_t low = 0, high = file->count;

    while (low < high) { /* the first that begins behind it */
        size_t middle = low + (high - low) / 2;
        if (file->functions[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t back = 1; back <= NESTED && back <= low; back++)
        if (covers(&file->functions[low - back], address))
            return &file->functions[low - back];
    const struct function *last = low > 0 ? &file->functions[low - 1] : NULL;
    return last && last->size == 0 && address - last->start < SIZELESS_BYTES ? last : NULL;
}

/* "$x" and the like are no names: on 64-bit ARM they mark where code and data begin. */
static int read_name(const struct file *file, int fd, uint32_t name, struct pst_buf *out)
{
    char text[NAME_BYTES];

    if (name == 0 || name >= file->names_bytes)
        return 0;
    uint64_t left = file->names_bytes - name, offset;
    if (__builtin_add_overflow(file->names, name, &offset) || offset > INT64_MAX)
        return 0;
    ssize_t got = pread(fd, text, left < NAME_BYTES ? (size_t)left : NAME_BYTES, (off_t)offset);
    size_t len = got > 0 ? strnlen(text, (size_t)got) : 0;
    if (len == 0 || len == (size_t)got || text[0] == '$')
        return 0;
    return pst_buf_append(out, text, len) < 0 ? -ENOMEM : 1;
}

int pst_functions_name(struct pst_functions *functions, int fd, enum pst_functions_table table,
                       uint64_t address, struct pst_buf *out)
{
    struct file *file = file_of(functions, fd, table);

    pst_buf_reset(out);
    if (!file)
        return -EIO;
    file->used = ++functions->clock;
    const struct function *function = file->status == 0 ? function_at(file, address) : NULL;
    return function ? read_name(file, fd, function->name, out) : file->status;
}
