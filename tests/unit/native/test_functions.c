/* Functions by address: those of this very program, and files that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "functions.h"

struct table {
    GElf_Sym *symbols;
    const char **names;
    size_t count;
};

static void each_function(Elf *elf, struct table *table)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;

    while ((section = elf_nextscn(elf, section)) && gelf_getshdr(section, &header))
        if (header.sh_type == SHT_SYMTAB)
            break;
    Elf_Data *data = elf_getdata(section, NULL);
    size_t count = header.sh_size / header.sh_entsize;
    table->symbols = calloc(count, sizeof(*table->symbols));
    table->names = calloc(count, sizeof(*table->names));
    for (size_t i = 0; i < count; i++) {
        GElf_Sym symbol;
        assert_non_null(gelf_getsym(data, (int)i, &symbol));
        if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_size == 0 ||
            symbol.st_shndx == SHN_UNDEF)
            continue;
        table->symbols[table->count] = symbol;
        table->names[table->count++] = elf_strptr(elf, header.sh_link, symbol.st_name);
    }
}

/* Whether the name is one of those that the plain search finds at the address. */
static bool plainly(const struct table *table, uint64_t address, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (address - table->symbols[i].st_value < table->symbols[i].st_size &&
            strcmp(table->names[i], name) == 0)
            return true;
    return false;
}

static void every_byte_of_a_function_has_its_name(void **state)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct pst_functions *functions = pst_functions_new();
    struct table table = {0};
    struct pst_buf name;

    (void)elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    each_function(elf, &table);
    assert_true(table.count > 20);
    pst_buf_init(&name, 4096);
    for (size_t i = 0; i < table.count; i++) {
        uint64_t first = table.symbols[i].st_value, last = first + table.symbols[i].st_size - 1;
        for (uint64_t at = first; at <= last; at += last > first ? last - first : 1) {
            assert_int_equal(pst_functions_name(functions, fd, PST_FUNCTIONS_ALL, at, &name), 1);
            assert_true(plainly(&table, at, name.data));
        }
    }
    assert_int_equal(pst_functions_name(functions, fd, PST_FUNCTIONS_ALL, 0, &name), 0);
    assert_int_equal(pst_functions_name(functions, fd, PST_FUNCTIONS_ALL, UINT64_MAX, &name), 0);
    assert_true(pst_functions_bytes(functions) >= table.count * 8);
    pst_buf_done(&name);
    free(table.symbols);
    free(table.names);
    (void)elf_end(elf);
    pst_functions_free(functions);
    (void)close(fd);
}

static int copy_of_self(unsigned char **ret_bytes, size_t *ret_len)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    off_t len = lseek(from, 0, SEEK_END);
    unsigned char *bytes = malloc((size_t)len);

    assert_int_equal(pread(from, bytes, (size_t)len, 0), len);
    (void)close(from);
    *ret_bytes = bytes;
    *ret_len = (size_t)len;
    return memfd_create("copy", MFD_CLOEXEC);
}

/* The program's own address as linked: its first byte is at 0 in a position-independent one. */
static void files_that_lie_cost_names_alone(void **state)
{
    struct pst_functions *functions = pst_functions_new();
    unsigned char *bytes;
    struct pst_buf name;
    size_t len;
    int fd = copy_of_self(&bytes, &len);

    (void)elf_version(EV_CURRENT);
    pst_buf_init(&name, 4096);
    srandom(7);
    for (int turn = 0; turn < 400; turn++) {
        Elf64_Ehdr header;
        memcpy(&header, bytes, sizeof(header));
        size_t tables = header.e_shoff, cut = turn % 4 == 3 ? (size_t)random() % len : len;
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bytes, cut, 0), cut);
        for (int i = 0; i < 1 + turn % 8; i++) {
            unsigned char byte = (unsigned char)(random() % 2 ? 0xff : random());
            size_t at = turn % 2 && tables < len ? tables + (size_t)random() % (len - tables)
                                                 : (size_t)random() % 64;
            if (at < cut)
                assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
        }
        for (int i = 0; i < 8; i++) {
            uint64_t address = (uint64_t)random() % len;
            assert_true(pst_functions_name(functions, fd, PST_FUNCTIONS_ALL, address, &name) <= 1);
            (void)pst_functions_name(functions, fd, PST_FUNCTIONS_DYNAMIC, address, &name);
        }
        assert_true(pst_functions_bytes(functions) <= PST_MAX_NATIVE_INDEX_BYTES);
    }
    pst_buf_done(&name);
    free(bytes);
    pst_functions_free(functions);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_a_function_has_its_name),
        cmocka_unit_test(files_that_lie_cost_names_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
