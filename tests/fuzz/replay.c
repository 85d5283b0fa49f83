/* Runs a fuzz target over files and folders of files, over every prefix of each (of a long one: the
 * last 512), and, with -n COUNT, over COUNT random damages of each: a poor man's fuzzer where
 * there is no libFuzzer. Usage: X-replay [-n COUNT] [-s SEED] PATH... */
#include "tests/fuzz/fuzz.h"

#include "client/base/rng.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static uint32_t inputs;
static uint32_t damages;
static struct rng rng;

static void run_exactly(const uint8_t *data, size_t length)
{
    uint8_t *exact = malloc(length + 1); /* the sanitizer sees every byte too far */

    if (exact == NULL) exit(2);
    if (length > 0) memcpy(exact + 1, data, length);
    LLVMFuzzerTestOneInput(exact + 1, length);
    free(exact);
    inputs++;
}

static void damage_file(const uint8_t *whole, size_t length)
{
    uint8_t *copy = malloc(length + 8);

    if (copy == NULL) exit(2);
    for (uint32_t i = 0; i < damages && length > 0; i++) {
        uint64_t changes = 1 + rng_below(&rng, 6);

        memcpy(copy, whole, length);
        for (; changes > 0; changes--) {
            size_t at = (size_t)rng_below(&rng, length);

            switch (rng_below(&rng, 4)) {
            case 0: copy[at] = (uint8_t)rng_u64(&rng); break;
            case 1: copy[at] ^= (uint8_t)(1u << rng_below(&rng, 8)); break;
            case 2: copy[at] = rng_below(&rng, 2) == 0 ? 0xff : 0; break;
            default: memmove(copy + at, copy + rng_below(&rng, length - at) + at, 1); break;
            }
        }
        run_exactly(copy, length);
    }
    free(copy);
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t length = 0, room = 1 << 20;
    uint8_t *whole = malloc(room);

    if (file == NULL || whole == NULL) {
        perror(path);
        exit(2);
    }
    length = fread(whole, 1, room, file);
    fclose(file);
    for (size_t cut = length > 512 ? length - 512 : 0; cut <= length; cut++)
        run_exactly(whole, cut);
    damage_file(whole, length);
    free(whole);
}

static void replay(const char *path)
{
    struct stat facts;
    struct dirent **names;
    int count;

    if (stat(path, &facts) == 0 && S_ISREG(facts.st_mode)) {
        replay_file(path);
        return;
    }
    count = scandir(path, &names, NULL, alphasort); /* sorted: the damages must be the same */
    if (count < 0) {
        perror(path);
        exit(2);
    }
    for (int i = 0; i < count; i++) {
        char name[4096];

        snprintf(name, sizeof name, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.') replay(name);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    int first = 1;
    uint64_t seed = 1;

    for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
        if (argv[first][1] == 'n') damages = (uint32_t)strtoul(argv[first + 1], NULL, 10);
        if (argv[first][1] == 's') seed = strtoull(argv[first + 1], NULL, 10);
    }
    rng_init(&rng, seed);
    for (int i = first; i < argc; i++)
        replay(argv[i]);
    printf("%s: %u inputs\n", argv[0], inputs);
    return inputs > 0 ? 0 : 1;
}
