// SPDX-License-Identifier: Apache-2.0
//
// For the C programs in this folder: what a call gave, and every field of the error that it left.

#include <stdlib.h>
#include <string.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>

/// Calls of the error handler since the last line.
static _Thread_local int handled;

static void count_error(void* data, virErrorPtr error) {
  (void)data;
  (void)error;
  ++handled;
}

/// `(null)` where there is no text.
static const char* or_null(const char* text) {
  return text == NULL ? "(null)" : text;
}

static void show_call(const char* call, long result) {
  const virErrorPtr error = virGetLastError();
  printf("%s = %ld", call, result);
  if (error != NULL) {
    printf("; %d times: code %d domain %d level %d '%s' str1 '%s' str2 '%s' str3 '%s' ints %d %d",
           handled, error->code, error->domain, error->level, or_null(error->message),
           or_null(error->str1), or_null(error->str2), or_null(error->str3), error->int1,
           error->int2);
  }
  handled = 0;
  putchar('\n');
  fflush(stdout);
}

/// For calls that give a number; what they give is shown.
#define SHOW(call) show_call(#call, (long)(call))
/// For calls that give a pointer; shown is whether it is one.
#define SHOW_POINTER(call) show_call(#call, (call) != NULL)
