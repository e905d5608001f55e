// SPDX-License-Identifier: Apache-2.0
//
// Asks scripts/floor/stand-ins.c and glibc itself the same questions, and counts answers that differ: the result,
// errno, and each byte of the struct. The folder that it is given is empty.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int (*by_path)(const char*, void*);
typedef int (*by_descriptor)(int, void*);
typedef int (*by_folder)(int, const char*, void*, int);

static int compared;
static int different;

struct answer {
  int result;
  int number;
  struct stat about;
};

static void begin(struct answer* answer) {
  memset(answer, 0xee, sizeof *answer);
  errno = 0;
}

static void end(struct answer* answer, int result) {
  answer->result = result;
  answer->number = errno;
}

static void compare(const char* name, const struct answer* ours, const struct answer* theirs) {
  ++compared;
  if (memcmp(ours, theirs, sizeof *ours) != 0) {
    ++different;
    fprintf(stderr, "%s: %d errno %d, and %d errno %d by glibc\n", name, ours->result, ours->number,
            theirs->result, theirs->number);
  }
}

/// The function of that name that glibc has; ours are hidden.
static void* theirs_of(const char* name) {
  void* found = dlsym(RTLD_DEFAULT, name);
  if (found == NULL) {
    fprintf(stderr, "glibc has no '%s'\n", name);
  }
  return found;
}

static void ask_paths(const char* name, by_path ours) {
  const by_path theirs = (by_path)theirs_of(name);
  const char* const paths[] = {".", "file", "link", "dangling", "file/below", "nowhere", ""};
  for (size_t index = 0; index < sizeof paths / sizeof *paths; ++index) {
    struct answer a;
    struct answer b;
    begin(&a);
    end(&a, ours(paths[index], &a.about));
    begin(&b);
    end(&b, theirs(paths[index], &b.about));
    compare(name, &a, &b);
  }
}

static void ask_descriptors(const char* name, by_descriptor ours, int file) {
  const by_descriptor theirs = (by_descriptor)theirs_of(name);
  const int descriptors[] = {file, -1};
  for (int index = 0; index < 2; ++index) {
    struct answer a;
    struct answer b;
    begin(&a);
    end(&a, ours(descriptors[index], &a.about));
    begin(&b);
    end(&b, theirs(descriptors[index], &b.about));
    compare(name, &a, &b);
  }
}

static void ask_folders(const char* name, by_folder ours, int file) {
  const by_folder theirs = (by_folder)theirs_of(name);
  const struct {
    int folder;
    const char* path;
    int flags;
  } questions[] = {{AT_FDCWD, "link", 0},        {AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW},
                   {file, "", AT_EMPTY_PATH},    {file, "", 0},
                   {AT_FDCWD, "file", 1 << 30},  {-1, "file", 0},
                   {AT_FDCWD, "dangling", 0},    {AT_FDCWD, ".", 0}};
  for (size_t index = 0; index < sizeof questions / sizeof *questions; ++index) {
    struct answer a;
    struct answer b;
    begin(&a);
    end(&a, ours(questions[index].folder, questions[index].path, &a.about, questions[index].flags));
    begin(&b);
    end(&b, theirs(questions[index].folder, questions[index].path, &b.about, questions[index].flags));
    compare(name, &a, &b);
  }
}

int main(int count, char** arguments) {
  if (count != 2 || chdir(arguments[1]) != 0) {
    return 2;
  }
  const int file = open("file", O_CREAT | O_RDWR, 0640);
  if (file < 0 || write(file, "content", 7) != 7 || symlink("file", "link") != 0 ||
      symlink("nowhere", "dangling") != 0) {
    return 2;
  }
  ask_paths("stat", (by_path)stat);
  ask_paths("lstat", (by_path)lstat);
  ask_paths("stat64", (by_path)stat64);
  ask_paths("lstat64", (by_path)lstat64);
  ask_descriptors("fstat", (by_descriptor)fstat, file);
  ask_descriptors("fstat64", (by_descriptor)fstat64, file);
  ask_folders("fstatat", (by_folder)fstatat, file);
  ask_folders("fstatat64", (by_folder)fstatat64, file);
  printf("%d answers compared, %d differ\n", compared, different);
  return different;
}
