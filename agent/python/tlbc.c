/* Thread-local bytecode (free-threaded 3.14+): a code object carries an array of copies of its
 * bytecode, one per thread index. Owns what is known of where copies begin; a copy lives until the
 * interpreter's generation of them counts up. */
#include <errno.h>

#include "base/map.h"
#include "internal.h"

struct copy_key {
    uint64_t code;
    uint32_t serial, index, generation, unused;
};

static int keep(struct pst_python *python, const struct copy_key *key, uint64_t start)
{
    void *value;

    if (!python->copies)
        python->copies =
            pst_map_new(sizeof(struct copy_key), sizeof(uint64_t), PST_MAX_BYTECODE_COPIES);
    if (!python->copies)
        return -ENOMEM;
    int error = pst_map_put(python->copies, key, &value, NULL);
    if (error == -ENOSPC) { /* only a cache: most of a full one is of old generations */
        pst_map_clear(python->copies);
        error = pst_map_put(python->copies, key, &value, NULL);
    }
    if (error == 0)
        *(uint64_t *)value = start;
    return error;
}

static struct copy_key key_of(const struct pst_code *code, uint32_t index, uint32_t generation)
{
    return (struct copy_key){code->address, code->serial, index, generation, 0};
}

/* The array is replaced when it grows and its memory given to others: what was read of it counts
 * only when the code object still points at it afterwards. */
int pst_tlbc_read(struct pst_python *python, const struct pst_code *code, uint32_t index,
                  uint32_t generation, uint64_t *ret)
{
    uint64_t where = code->address + python->layout.code.tlbc, array, size, start, again;

    if (index > PST_MAX_THREADS)
        return -EINVAL;
    int error = pst_memory_u64(python->memory, where, &array);
    if (error == 0 && !pst_memory_plausible(array))
        error = -EINVAL;
    if (error == 0)
        error = pst_memory_u64(python->memory, array, &size);
    if (error == 0 && index >= size)
        error = -EINVAL;
    if (error == 0)
        error = pst_memory_u64(python->memory, array + 8 + 8 * (uint64_t)index, &start);
    if (error == 0)
        error = pst_memory_u64(python->memory, where, &again);
    if (error == 0 && (again != array || !pst_memory_plausible(start)))
        error = -EINVAL;
    if (error < 0)
        return error;
    struct copy_key key = key_of(code, index, generation);
    *ret = start;
    return keep(python, &key, start);
}

int pst_tlbc_start(struct pst_python *python, const struct pst_code *code, uint32_t index,
                   uint32_t generation, uint64_t *ret)
{
    struct copy_key key = key_of(code, index, generation);
    const uint64_t *known = python->copies ? pst_map_get(python->copies, &key) : NULL;

    if (!known)
        return pst_tlbc_read(python, code, index, generation, ret);
    *ret = *known;
    return 0;
}
