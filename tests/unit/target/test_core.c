/* Core files made by hand: what one may ask of its reader. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "target/core.h"

#if defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
enum { MACHINE = EM_X86_64 };
#endif

/* A core whose segments of notes are all the same bytes: that many empty notes. */
static int core_of_notes(unsigned segments, uint64_t notes)
{
    int fd = memfd_create("core", MFD_CLOEXEC);
    Elf64_Ehdr header = {.e_ident = ELFMAG,
                         .e_type = ET_CORE,
                         .e_machine = MACHINE,
                         .e_phoff = sizeof(header),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = (Elf64_Half)segments};
    Elf64_Phdr segment = {.p_type = PT_NOTE,
                          .p_offset = sizeof(header) + segments * sizeof(segment),
                          .p_filesz = notes * sizeof(Elf64_Nhdr)};
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    assert_int_equal(write(fd, &header, sizeof(header)), sizeof(header));
    for (unsigned i = 0; i < segments; i++)
        assert_int_equal(write(fd, &segment, sizeof(segment)), sizeof(segment));
    assert_int_equal(ftruncate(fd, (off_t)(segment.p_offset + segment.p_filesz)), 0);
    return fd;
}

static void notes_are_bounded_in_the_whole_core_and_not_in_each_segment(void **state)
{
    struct pst_core *core = NULL;
    assert_int_equal(pst_core_open(core_of_notes(4, 1000), &core), 0);
    pst_core_free(core);
    assert_int_equal(pst_core_open(core_of_notes(4, PST_MAX_CORE_NOTES / 4 + 1), &core), -EFBIG);
}

enum { HEAD = 4096, MAPPED = 0x10000 };

/* A core whose process had the beginning of a file mapped, and beyond the first page only there. */
static int core_of_file(const char *path, const unsigned char head[HEAD])
{
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr note, load;
        Elf64_Nhdr notes;
        char core[8];
        uint64_t count, page, start, end, offset;
        char path[64];
    } __attribute__((packed)) core = {
        .header = {.e_ident = ELFMAG,
                   .e_type = ET_CORE,
                   .e_machine = MACHINE,
                   .e_phoff = sizeof(core.header),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 2},
        .note = {.p_type = PT_NOTE,
                 .p_offset = offsetof(typeof(core), notes),
                 .p_filesz = sizeof(core) - offsetof(typeof(core), notes)},
        .load = {.p_type = PT_LOAD,
                 .p_flags = PF_R,
                 .p_vaddr = MAPPED,
                 .p_memsz = 2 * HEAD,
                 .p_offset = sizeof(core),
                 .p_filesz = HEAD},
        .notes = {.n_namesz = 5, .n_descsz = 40 + sizeof(core.path), .n_type = NT_FILE},
        .core = "CORE",
        .count = 1,
        .page = HEAD,
        .start = MAPPED,
        .end = MAPPED + 2 * HEAD,
    };
    int fd = memfd_create("core", MFD_CLOEXEC);

    core.header.e_ident[EI_CLASS] = ELFCLASS64;
    core.header.e_ident[EI_DATA] = ELFDATA2LSB;
    (void)snprintf(core.path, sizeof(core.path), "%s", path);
    assert_int_equal(write(fd, &core, sizeof(core)), sizeof(core));
    assert_int_equal(write(fd, head, HEAD), HEAD);
    return fd;
}

/* Bytes of its second page as the core gives them; -errno. */
static int beyond_the_head(const char *path, const unsigned char head[HEAD], uint64_t *ret_other)
{
    struct pst_core_info info;
    struct pst_core *core = NULL;
    unsigned char bytes[64], file[64];

    assert_int_equal(pst_core_open(core_of_file(path, head), &core), 0);
    int error = pst_core_read(core, MAPPED + HEAD, bytes, sizeof(bytes));
    if (error == 0) {
        int fd = pst_core_open_file(core, 1);
        assert_int_equal(pread(fd, file, sizeof(file), HEAD), sizeof(file));
        assert_memory_equal(bytes, file, sizeof(file));
        (void)close(fd);
    }
    pst_core_info(core, &info);
    *ret_other = info.files_other;
    pst_core_free(core);
    return error;
}

static void a_file_counts_only_while_it_begins_as_the_core_says(void **state)
{
    unsigned char head[HEAD];
    char path[64];
    uint64_t other;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    assert_int_equal(pread(fd, head, HEAD, 0), HEAD);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    assert_int_equal(beyond_the_head(path, head, &other), 0);
    assert_int_equal(other, 0);
    head[sizeof(Elf64_Ehdr) + 16] ^= 1; /* the first program header */
    assert_int_equal(beyond_the_head(path, head, &other), -EFAULT);
    assert_int_equal(other, 1);
    head[sizeof(Elf64_Ehdr) + 16] ^= 1;
    head[24] ^= 1; /* the entry point */
    assert_int_equal(beyond_the_head(path, head, &other), -EFAULT);
    assert_int_equal(beyond_the_head("/etc/passwd", head, &other), -EFAULT);
    assert_int_equal(other, 1);
    assert_int_equal(beyond_the_head("/dev/zero", head, &other), -EFAULT);
    assert_int_equal(other, 0);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_are_bounded_in_the_whole_core_and_not_in_each_segment),
        cmocka_unit_test(a_file_counts_only_while_it_begins_as_the_core_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
