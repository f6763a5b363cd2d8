/* Folders of tests, removed with the files in them. */
#ifndef PST_TESTS_SCRATCH_H
#define PST_TESTS_SCRATCH_H

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *new_directory(void)
{
    char *path = strdup("/tmp/pst-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static void remove_directory(char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        (void)closedir(dir);
    (void)rmdir(path);
    free(path);
}

#endif
