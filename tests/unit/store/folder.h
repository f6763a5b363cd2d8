/* A folder for the store of each test, removed with its files. */
#ifndef PST_TESTS_STORE_FOLDER_H
#define PST_TESTS_STORE_FOLDER_H

#include "../scratch.h"
#include "base/clock.h"

static char *directory;

static int setup(void **state)
{
    directory = new_directory();
    return 0;
}

static int teardown(void **state)
{
    remove_directory(directory);
    pst_clock_set_source(NULL, NULL);
    return 0;
}

#endif
