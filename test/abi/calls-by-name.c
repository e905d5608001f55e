// SPDX-License-Identifier: Apache-2.0
//
// Makes the calls that are named in a file, one a line, words parted by tabs, '-' for a null:
//
//     virDomainBlockPull  vda  10  0
//
// and prints for each what it gave and the error that it left, as one line of JSON. Arguments: rw or ro, URI ('-'
// for none), name of a domain, the file. The connection and the domain are every call's own.

#include <stdlib.h>
#include <string.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>

static virConnectPtr conn;
static virConnectPtr other;
static virDomainPtr dom;

static char* words[8];

static const char* text(int index) {
  return words[index] == NULL || strcmp(words[index], "-") == 0 ? NULL : words[index];
}

static unsigned long long number(int index) {
  return strtoull(words[index], NULL, 10);
}

static void on_event(virConnectPtr c, virDomainPtr d, void* opaque) {
  (void)c, (void)d, (void)opaque;
}

static void print_string(const char* value) {
  putchar('"');
  for (; *value != '\0'; ++value) {
    if (*value == '"' || *value == '\\') {
      putchar('\\');
    }
    if (*value == '\n') {
      fputs("\\n", stdout);
    } else {
      putchar(*value);
    }
  }
  putchar('"');
}

static void print_domain(virDomainPtr domain) {
  if (domain == NULL) {
    fputs("null", stdout);
  } else {
    print_string(virDomainGetName(domain));
    virDomainFree(domain);
  }
}

static void print_text(char* value) {
  if (value == NULL) {
    fputs("null", stdout);
  } else {
    print_string(value);
  }
}

static int list(void) {
  virDomainPtr* domains = NULL;
  const int count = virConnectListAllDomains(conn, &domains, number(1));
  if (count < 0) {
    return -1;
  }
  putchar('[');
  for (int i = 0; i < count; ++i) {
    fputs(i == 0 ? "" : ",", stdout);
    print_domain(domains[i]);
  }
  putchar(']');
  free(domains);
  return 0;
}

static int info(void) {
  virDomainBlockJobInfo job;
  const int found = virDomainGetBlockJobInfo(dom, text(1), &job, number(2));
  if (found == 1) {
    printf("{\"type\":%d,\"bandwidth\":%lu,\"cur\":%llu,\"end\":%llu}", job.type, job.bandwidth, job.cur, job.end);
  } else if (found == 0) {
    fputs("null", stdout);
  }
  return found < 0 ? -1 : 0;
}

static int is(const char* name) {
  return strcmp(words[0], name) == 0;
}

/// Prints what the call gave; calls that give an int are printed by the caller.
static int make_call(int* printed) {
  *printed = 1;
  if (is("virDomainLookupByName")) {
    print_domain(virDomainLookupByName(conn, text(1)));
  } else if (is("virDomainLookupByUUIDString")) {
    print_domain(virDomainLookupByUUIDString(conn, text(1)));
  } else if (is("virDomainDefineXML")) {
    print_domain(virDomainDefineXML(conn, text(1)));
  } else if (is("virDomainGetXMLDesc")) {
    char* xml = virDomainGetXMLDesc(dom, number(1));
    print_text(xml);
    free(xml);
  } else if (is("virDomainGetName")) {
    print_text((char*)virDomainGetName(dom));
  } else if (is("virDomainGetUUIDString")) {
    char uuid[VIR_UUID_STRING_BUFLEN];
    virDomainGetUUIDString(dom, uuid);
    print_text(uuid);
  } else if (is("virConnectListAllDomains")) {
    if (list() != 0) {
      fputs("null", stdout);
    }
  } else if (is("virDomainGetBlockJobInfo")) {
    if (info() != 0) {
      fputs("null", stdout);
    }
  } else {
    *printed = 0;
  }
  if (*printed) {
    return 0;
  }
  if (is("virDomainGetID")) {
    return (int)virDomainGetID(dom);
  }
  if (is("virDomainBlockPull")) {
    return virDomainBlockPull(dom, text(1), number(2), number(3));
  }
  if (is("virDomainBlockRebase")) {
    return virDomainBlockRebase(dom, text(1), text(2), number(3), number(4));
  }
  if (is("virDomainBlockJobSetSpeed")) {
    return virDomainBlockJobSetSpeed(dom, text(1), number(2), number(3));
  }
  if (is("virDomainBlockJobAbort")) {
    return virDomainBlockJobAbort(dom, text(1), number(2));
  }
  if (is("register")) {
    return virConnectDomainEventRegisterAny(conn, NULL, atoi(words[1]), on_event, NULL, NULL);
  }
  if (is("register-of-domain")) {
    return virConnectDomainEventRegisterAny(conn, dom, atoi(words[1]), on_event, NULL, NULL);
  }
  if (is("register-elsewhere")) {
    return virConnectDomainEventRegisterAny(other, dom, atoi(words[1]), on_event, NULL, NULL);
  }
  if (is("virConnectDomainEventDeregisterAny")) {
    return virConnectDomainEventDeregisterAny(conn, atoi(words[1]));
  }
  fprintf(stderr, "no call '%s'\n", words[0]);
  exit(2);
}

static void print_error(void) {
  const virErrorPtr error = virGetLastError();
  if (error == NULL || error->code == VIR_ERR_OK) {
    fputs("null", stdout);
    return;
  }
  printf("{\"code\":%d,\"domain\":%d,\"level\":%d,\"message\":", error->code, error->domain, error->level);
  print_string(error->message);
  putchar('}');
}

static void ignore(void* data, virErrorPtr error) {
  (void)data, (void)error;
}

static virConnectPtr open_connection(const char* mode, const char* uri) {
  const char* const name = strcmp(uri, "-") == 0 ? NULL : uri;
  return strcmp(mode, "ro") == 0 ? virConnectOpenReadOnly(name) : virConnectOpen(name);
}

int main(int count, char** arguments) {
  char line[4096];
  if (count != 5) {
    return 2;
  }
  virSetErrorFunc(NULL, ignore);
  virEventRegisterDefaultImpl();
  conn = open_connection(arguments[1], arguments[2]);
  if (conn == NULL) {
    fputs("{\"result\":null,\"error\":", stdout);
    print_error();
    puts("}");
    return 0;
  }
  other = open_connection(arguments[1], arguments[2]);
  dom = virDomainLookupByName(conn, arguments[3]);
  FILE* const calls = fopen(arguments[4], "r");
  while (calls != NULL && fgets(line, sizeof line, calls) != NULL) {
    int printed = 0;
    int words_given = 0;
    line[strcspn(line, "\n")] = '\0';
    memset(words, 0, sizeof words);
    for (char* word = strtok(line, "\t"); word != NULL; word = strtok(NULL, "\t")) {
      words[words_given++] = word;
    }
    virResetLastError();
    fputs("{\"result\":", stdout);
    const int result = make_call(&printed);
    if (!printed) {
      printf("%d", result);
    }
    fputs(",\"error\":", stdout);
    print_error();
    puts("}");
    fflush(stdout);
  }
  if (calls != NULL) {
    fclose(calls);
  }
  virDomainFree(dom);
  virConnectClose(other);
  virConnectClose(conn);
  return 0;
}
