/* Counts the calls that change files beneath some folders, and lets the chosen one fail.
 *
 * Preloaded before libc, so that Python, SQLite and Lance all go through it. Includes no header: the small
 * compiler of the tests has none of the system's. faults_arm() is called by the test's process itself.
 */
typedef long word;
extern void *dlsym(void *handle, const char *name);
extern int *__errno_location(void);
extern word readlink(const char *path, char *buffer, unsigned long size);
extern int pthread_mutex_lock(void *mutex), pthread_mutex_unlock(void *mutex);
extern int snprintf(char *text, unsigned long size, const char *format, ...);

#define NEXT ((void *)-1L)
#define PATHS 4
#define LENGTH 512

static char watched[PATHS][LENGTH];
static int watched_count, chosen, failure, active;
static volatile int counted;
static char mutex[64]; /* all zeros is an unlocked one */

static unsigned long length_of(const char *text) { unsigned long n = 0; while (text[n]) n++; return n; }

static int begins(const char *text, const char *with) {
    while (*with) if (*text++ != *with++) return 0;
    return 1;
}

void faults_watch(const char *path) {
    unsigned long n = length_of(path);
    if (watched_count == PATHS || n >= LENGTH) return;
    for (unsigned long i = 0; i <= n; i++) watched[watched_count][i] = path[i];
    watched_count++;
}

/* Fail the number-th change from now on with this errno; number 0 only counts, number -1 fails every change. */
void faults_arm(int number, int error) { counted = 0; chosen = number; failure = error; active = 1; }

int faults_disarm(void) { active = 0; return counted; }

static int fails(const char *path) {
    if (!active || !path) return 0;
    for (int i = 0; i < watched_count; i++)
        if (begins(path, watched[i])) {
            pthread_mutex_lock(mutex);
            int number = ++counted;
            pthread_mutex_unlock(mutex);
            if (number != chosen && chosen != -1) return 0;
            *__errno_location() = failure;
            return 1;
        }
    return 0;
}

static int fails_at(int descriptor) {
    char name[64], path[LENGTH];
    if (!active) return 0;
    int kept = *__errno_location();
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    word n = readlink(name, path, sizeof path - 1);
    *__errno_location() = kept;
    if (n <= 0) return 0;
    path[n] = 0;
    return fails(path);
}

#define REAL(name) static word (*real)() = 0; if (!real) real = (word (*)())dlsym(NEXT, #name)
#define BY_DESCRIPTOR(name, parameters, arguments) \
    word name parameters { REAL(name); if (fails_at(descriptor)) return -1; return real arguments; }
#define BY_PATH(name, parameters, arguments, path) \
    word name parameters { REAL(name); if (fails(path)) return -1; return real arguments; }

BY_DESCRIPTOR(write, (int descriptor, const void *data, word size), (descriptor, data, size))
BY_DESCRIPTOR(writev, (int descriptor, const void *parts, word count), (descriptor, parts, count))
BY_DESCRIPTOR(pwrite, (int descriptor, const void *data, word size, word at), (descriptor, data, size, at))
BY_DESCRIPTOR(pwrite64, (int descriptor, const void *data, word size, word at), (descriptor, data, size, at))
BY_DESCRIPTOR(fsync, (int descriptor), (descriptor))
BY_DESCRIPTOR(fdatasync, (int descriptor), (descriptor))
BY_DESCRIPTOR(ftruncate, (int descriptor, word size), (descriptor, size))
BY_DESCRIPTOR(ftruncate64, (int descriptor, word size), (descriptor, size))
BY_PATH(rename, (const char *from, const char *to), (from, to), to)
BY_PATH(link, (const char *from, const char *to), (from, to), to)
BY_PATH(mkdir, (const char *path, word mode), (path, mode), path)
BY_PATH(renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), to)
BY_PATH(renameat2, (int a, const char *from, int b, const char *to, word flags), (a, from, b, to, flags), to)
BY_PATH(linkat, (int a, const char *from, int b, const char *to, word flags), (a, from, b, to, flags), to)
