// SPDX-License-Identifier: Apache-2.0
//
// What the objects ask of a newer glibc and glibc 2.28 does not have, or has under another name. All of it is
// hidden: it goes into each binary, and no other sees it. Nothing belongs here whose meaning would differ.
//
// The stat family became functions of glibc in 2.33; before, headers made them of __xstat and its kin.
// Here they are the system calls themselves. On x64 and arm64 the kernel's struct stat is the one of glibc, and the
// 64-bit names mean the same as the plain ones.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Since 2.32: true while a process has one thread, and libstdc++ then counts without atomics. False is always right.
char __libc_single_threaded = 0;

int fstatat(int folder, const char* path, struct stat* about, int flags) {
  return (int)syscall(SYS_newfstatat, folder, path, about, flags);
}

int fstat(int fd, struct stat* about) {
  return (int)syscall(SYS_fstat, fd, about);
}

int stat(const char* path, struct stat* about) {
  return fstatat(AT_FDCWD, path, about, 0);
}

int lstat(const char* path, struct stat* about) {
  return fstatat(AT_FDCWD, path, about, AT_SYMLINK_NOFOLLOW);
}

int fstatat64(int folder, const char* path, struct stat64* about, int flags) {
  return (int)syscall(SYS_newfstatat, folder, path, about, flags);
}

int fstat64(int fd, struct stat64* about) {
  return (int)syscall(SYS_fstat, fd, about);
}

int stat64(const char* path, struct stat64* about) {
  return fstatat64(AT_FDCWD, path, about, 0);
}

int lstat64(const char* path, struct stat64* about) {
  return fstatat64(AT_FDCWD, path, about, AT_SYMLINK_NOFOLLOW);
}
