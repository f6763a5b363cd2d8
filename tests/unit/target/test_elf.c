/* ELF images: this program's own, and ones that lie. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "target/elf.h"
#include "target/maps.h"
#include "target/memory.h"
#include "target/rootfs.h"

/* This program carries what a CPython would, with those names. */
char _PyRuntime[4096] __attribute__((section(".PyRuntime"), used)) = "x";
char PyCode_Type[512] __attribute__((used)) = "y";
const unsigned Py_Version __attribute__((used)) = 0x030b07f0;

static unsigned char *load_self(size_t *ret_len)
{
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    unsigned char *data = malloc((size_t)st.st_size);
    assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
    (void)close(fd);
    *ret_len = (size_t)st.st_size;
    return data;
}

static int parse(unsigned char *data, size_t len, size_t budget, struct pst_elf *ret)
{
    struct pst_elf_bytes bytes = {data, len};
    struct pst_elf_source source = pst_elf_bytes(&bytes, budget);
    return pst_elf_parse(&source, ret);
}

/* Where the loader put the program: address of a symbol minus its value as linked. */
static void symbols_and_section_are_found(void **state)
{
    struct pst_elf elf;
    size_t len;
    unsigned char *data = load_self(&len);
    assert_int_equal(parse(data, len, PST_MAX_ELF_BYTES, &elf), 0);
    assert_true(pst_elf_has_python(&elf));
    uint64_t bias = (uintptr_t)_PyRuntime - elf.symbol[PST_ELF_RUNTIME];
    assert_int_equal(bias & 4095, 0);
    assert_true(elf.symbol[PST_ELF_CODE_TYPE] + bias == (uintptr_t)PyCode_Type);
    assert_true(elf.symbol[PST_ELF_VERSION] + bias == (uintptr_t)&Py_Version);
    assert_true(elf.section == elf.symbol[PST_ELF_RUNTIME]);
    assert_true(pst_elf_in_data(&elf, elf.section, 4096));
    assert_false(pst_elf_in_data(&elf, elf.section, UINT64_MAX));
    assert_false(pst_elf_in_data(&elf, 0, 1));
    assert_int_equal(elf.symbol[PST_ELF_INTERP_HEAD], 0);
    free(data);
}

static void a_budget_ends_the_search(void **state)
{
    struct pst_elf elf;
    size_t len;
    unsigned char *data = load_self(&len);
    assert_int_equal(parse(data, len, 10, &elf), -EDQUOT);
    for (size_t budget = 64; budget < 20000; budget += 640) {
        if (parse(data, len, budget, &elf) == 0 && !elf.symbol[PST_ELF_RUNTIME])
            assert_true(elf.cut);
    }
    free(data);
}

static void other_files_are_no_images(void **state)
{
    unsigned char text[256] = "#!/usr/bin/python3\n";
    struct pst_elf elf;
    assert_int_equal(parse(text, sizeof(text), 65536, &elf), -ENOEXEC);
    assert_int_equal(parse(text, 0, 65536, &elf), -ENOEXEC);
    memcpy(text, ELFMAG, SELFMAG);
    assert_int_equal(parse(text, sizeof(text), 65536, &elf), -ENOEXEC);
}

static void without_section_headers_the_dynamic_segment_is_enough(void **state)
{
    struct pst_elf whole, cut;
    size_t len;
    unsigned char *data = load_self(&len);
    assert_int_equal(parse(data, len, PST_MAX_ELF_BYTES, &whole), 0);
    ((Elf64_Ehdr *)(void *)data)->e_shoff = 0;
    ((Elf64_Ehdr *)(void *)data)->e_shnum = 0;
    assert_int_equal(parse(data, len, PST_MAX_ELF_BYTES, &cut), 0);
    assert_true(cut.symbol[PST_ELF_RUNTIME] == whole.symbol[PST_ELF_RUNTIME]);
    assert_int_equal(cut.section, 0);
    free(data);
}

/* Every name gone, the section headers too: the first bytes of a runtime of 3.13 tell it. */
static void a_stripped_runtime_names_itself(void **state)
{
    static const char cookie[] = "xdebugpy\xf0\x02\x0d\x03\0\0\0\0\1\0\0\0\0\0\0";
    struct pst_elf whole, stripped;
    size_t len;
    unsigned char *data = load_self(&len), *name;
    assert_int_equal(parse(data, len, PST_MAX_ELF_BYTES, &whole), 0);
    while ((name = memmem(data, len, "_PyRuntime", 10)))
        name[0] = '?';
    ((Elf64_Ehdr *)(void *)data)->e_shoff = 0;
    assert_int_equal(parse(data, len, PST_MAX_ELF_BYTES, &stripped), 0);
    assert_false(pst_elf_has_python(&stripped));
    assert_true(stripped.program);
    for (size_t i = 0; i < whole.segment_count; i++) {
        const struct pst_elf_segment *segment = &whole.segment[i];
        if (segment->writable && whole.section >= segment->vaddr &&
            whole.section - segment->vaddr < segment->file_bytes)
            memcpy(data + segment->offset + (whole.section - segment->vaddr), cookie, 24);
    }
    assert_int_equal(parse(data, len, PST_MAX_ELF_BYTES, &stripped), 0);
    assert_true(pst_elf_has_python(&stripped));
    assert_true(stripped.section == whole.section);
    free(data);
}

struct loaded {
    struct pst_memory *memory;
    uint64_t start;
};

static int read_loaded(void *context, uint64_t offset, void *dst, size_t len)
{
    struct loaded *loaded = context;
    return pst_memory_read(loaded->memory, loaded->start + offset, dst, len);
}

static void find_self(struct pst_image *ret)
{
    struct pst_buf maps;
    struct pst_mapping mapping;
    struct pst_image images[64];
    pst_buf_init(&maps, PST_MAX_MAPS_BYTES);
    assert_int_equal(pst_maps_read(getpid(), &maps), 0);
    assert_true(pst_maps_find(pst_buf_view(&maps), (uintptr_t)_PyRuntime, &mapping));
    size_t count = pst_maps_images(pst_buf_view(&maps), 0, images, 64);
    for (size_t i = 0; i < count; i++) {
        if (pst_mapping_of(&mapping, &images[i]))
            *ret = images[i];
    }
    ret->path = PST_STR("/nowhere");
    pst_buf_done(&maps);
}

static void memory_alone_is_enough(void **state)
{
    struct pst_procref ref;
    struct pst_image image = {0};
    struct pst_elf elf;
    assert_int_equal(pst_procref_open(getpid(), &ref), 0);
    struct loaded loaded = {pst_memory_new(&ref), 0};
    pst_memory_budget(loaded.memory, PST_MAX_ELF_BYTES, 100000);
    find_self(&image);
    loaded.start = image.start;
    struct pst_elf_source source = {read_loaded, &loaded, PST_MAX_IMAGE_BYTES, PST_MAX_ELF_BYTES};
    assert_int_equal(pst_elf_parse_loaded(&source, image.start, &elf), 0);
    uint64_t bias = elf.relocatable ? image.start : 0;
    assert_true(elf.symbol[PST_ELF_RUNTIME] + bias == (uintptr_t)_PyRuntime);
    pst_memory_free(loaded.memory);
    pst_procref_done(&ref);
}

static void only_the_mapped_file_is_opened(void **state)
{
    struct pst_image image = {0};
    struct stat st;
    find_self(&image);
    int fd = pst_rootfs_find(getpid(), &image, &st);
    assert_true(fd >= 0);
    int readable = pst_rootfs_reopen(fd);
    assert_true(readable >= 0);
    (void)close(readable);
    (void)close(fd);
    struct pst_image other = image;
    other.inode++;
    assert_int_equal(pst_rootfs_find(getpid(), &other, &st), -ENOENT);
    other.path = PST_STR("/dev/zero");
    assert_true(stat("/dev/zero", &st) == 0); /* the very inode, but a device */
    other.inode = st.st_ino;
    other.major = major(st.st_dev);
    other.minor = minor(st.st_dev);
    assert_int_equal(pst_rootfs_find(getpid(), &other, &st), -ENOENT);
}

/* Two bytes at a time, everywhere that steers the parser: refused or survived, never more read
 * than the budget, never a byte outside. */
static void flipped_bytes_do_no_harm(void **state)
{
    struct pst_elf elf;
    size_t len;
    unsigned char *data = load_self(&len), *copy = malloc(len);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)data;
    uint32_t random = 20261123;
    size_t tables[2][2] = {{0, 1024},
                           {header->e_shoff, (size_t)header->e_shnum * sizeof(Elf64_Shdr)}};
    for (int round = 0; round < 20000; round++) {
        memcpy(copy, data, len);
        for (int i = 0; i < 2; i++) {
            random = random * 1664525 + 1013904223;
            const size_t *table = tables[random >> 31];
            size_t at = table[0] + (random >> 8) % table[1];
            random = random * 1664525 + 1013904223;
            copy[at] = (random >> 30) ? (unsigned char)(random >> 16) : 0xff;
        }
        (void)parse(copy, len, 262144, &elf);
    }
    free(copy);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols_and_section_are_found),
        cmocka_unit_test(a_budget_ends_the_search),
        cmocka_unit_test(other_files_are_no_images),
        cmocka_unit_test(without_section_headers_the_dynamic_segment_is_enough),
        cmocka_unit_test(a_stripped_runtime_names_itself),
        cmocka_unit_test(memory_alone_is_enough),
        cmocka_unit_test(only_the_mapped_file_is_opened),
        cmocka_unit_test(flipped_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
