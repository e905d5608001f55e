// SPDX-License-Identifier: Apache-2.0
//
// The methods of a connection, in the order of lib/native.ts.

#include "napi/connection_object.h"

#include <array>
#include <map>
#include <memory>
#include <utility>

#include "napi/call_promise.h"
#include "napi/end_promise.h"
#include "napi/environment.h"
#include "napi/job_object.h"
#include "napi/requests.h"
#include "napi/results.h"
#include "napi/walk_object.h"
#include "napi/wrapped.h"
#include "virt/calls/block_job_calls.h"
#include "virt/calls/domain_calls.h"
#include "virt/calls/event_calls.h"

namespace blockpull::napi {
namespace {

struct ConnectionObject {
  static constexpr napi_type_tag kTag{0x7c1f0e5b92a84d36, 0x8e43b7d015fa6c29};

  std::shared_ptr<virt::Connect> connection;
  std::shared_ptr<EventChannel> events;
  /// Pulls that QEMU may not have started yet, by the caller's tickets.
  std::map<std::uint64_t, std::weak_ptr<virt::PullStart>> starts;
};

using ConnectionCall = Call<ConnectionObject>;

/// Runs `work`, which takes the connection and the answer to call, on a thread of ours.
template <typename T, typename Work>
napi_value start(const ConnectionCall& call, Work work, Converter<T> convert) {
  return promise_of_answer<T>(
      call.env,
      [connection = call.object->connection, work = std::move(work)](virt::Answer<T> done) {
        work(connection, std::move(done));
      },
      std::move(convert));
}

/// A promise for an answer that is already known.
template <typename T>
napi_value answered(napi_env env, virt::Result<T> result, Converter<T> convert) {
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) {
    return nullptr;
  }
  if (result.ok()) {
    napi_resolve_deferred(env, deferred, convert(env, result.value()));
  } else {
    napi_reject_deferred(env, deferred, make_failure(env, result.error()));
  }
  return promise;
}

napi_value list_domains(const ConnectionCall& call) {
  const auto flags = read_flags(call.env, call.arguments[0]);
  if (!flags) {
    return nullptr;
  }
  using Domains = virt::FoundDomains;
  return start<Domains>(
      call,
      [flags = *flags](const auto& connection, const virt::Answer<Domains>& done) {
        virt::list_all_domains(connection, flags, done);
      },
      &make_domains);
}

napi_value lookup_domain(const ConnectionCall& call) {
  auto request = read_lookup(call.env, call.arguments[0]);
  if (!request) {
    return nullptr;
  }
  using Domain = virt::FoundDomain;
  return start<Domain>(
      call,
      [request = *std::move(request)](const auto& connection, const virt::Answer<Domain>& done) {
        if (request.name) {
          virt::lookup_by_name(connection, *request.name, done);
        } else {
          virt::lookup_by_uuid(connection, request.uuid.value_or(""), done);
        }
      },
      &make_domain);
}

napi_value define_xml(const ConnectionCall& call) {
  auto xml = read_xml(call.env, call.arguments[0]);
  if (!xml) {
    return nullptr;
  }
  using Domain = virt::FoundDomain;
  return start<Domain>(
      call,
      [xml = *std::move(xml)](const auto& connection, const virt::Answer<Domain>& done) {
        virt::define_xml(connection, xml, done);
      },
      &make_domain);
}

napi_value domain_xml(const ConnectionCall& call) {
  auto uuid = read_uuid(call.env, call.arguments[0]);
  const auto flags = uuid ? read_flags(call.env, call.arguments[0]) : std::nullopt;
  if (!flags) {
    return nullptr;
  }
  return start<std::string>(
      call,
      [uuid = *std::move(uuid), flags = *flags](const auto& connection,
                                                const virt::Answer<std::string>& done) {
        virt::xml_desc(connection, uuid, flags, done);
      },
      &make_text);
}

napi_value list_disks(const ConnectionCall& call) {
  auto uuid = read_uuid(call.env, call.arguments[0]);
  if (!uuid) {
    return nullptr;
  }
  using Disks = std::vector<virt::Disk>;
  return start<Disks>(
      call,
      [uuid = *std::move(uuid)](const auto& connection, virt::Answer<Disks> done) {
        virt::list_disks(connection, uuid, std::move(done));
      },
      &make_disks);
}

napi_value register_event(const ConnectionCall& call) {
  const auto request = read_event_call(call.env, call.arguments[0]);
  if (!request) {
    return nullptr;
  }
  return answered<int>(call.env, virt::register_event(*call.object->connection, *request),
                       [](napi_env env, int& id) { return make_number(env, id); });
}

napi_value deregister_event(const ConnectionCall& call) {
  const auto id = read_registration(call.env, call.arguments[0]);
  if (!id) {
    return nullptr;
  }
  return answered<Nothing>(call.env, nothing(virt::deregister_event(*call.object->connection, *id)),
                           &convert_nothing);
}

napi_value block_pull(const ConnectionCall& call) {
  auto request = read_block_pull(call.env, call.arguments[0]);
  const auto ticket = request ? read_ticket(call.env, call.arguments[0]) : std::nullopt;
  if (!ticket || !check_callback(call.env, call.arguments[1])) {
    return nullptr;
  }
  request->start = std::make_shared<virt::PullStart>();
  auto& starts = call.object->starts;
  std::erase_if(starts, [](const auto& start) { return start.second.expired(); });
  starts[*ticket] = request->start;
  auto& environment = Environment::of(call.env);
  auto channel =
      std::make_shared<JobChannel>(call.env, call.arguments[1], environment.dispatcher());
  using Started = std::shared_ptr<job::Job>;
  return start<Started>(
      call,
      [request = *std::move(request), on_end = environment.listener(channel)](
          const auto& connection, virt::Answer<Started> done) {
        virt::block_pull(connection, request, on_end, std::move(done));
      },
      [channel](napi_env env, std::shared_ptr<job::Job>& job) {
        Environment::of(env).attach(channel, job);
        return make_job_object(env, channel);
      });
}

napi_value give_up(const ConnectionCall& call) {
  const auto ticket = read_ticket(call.env, call.arguments[0]);
  const auto known = ticket ? call.object->starts.find(*ticket) : call.object->starts.end();
  if (known != call.object->starts.end()) {
    if (const auto start = known->second.lock()) {
      start->give_up();
    }
  }
  return nullptr;
}

napi_value new_walk(const ConnectionCall& call) {
  return make_walk_object(call.env);
}

napi_value plan(const ConnectionCall& call) {
  auto request = read_block_pull(call.env, call.arguments[0]);
  const auto reads_data = request ? read_reads_data(call.env, call.arguments[0]) : std::nullopt;
  const auto watch = reads_data ? read_walk(call.env, call.arguments[1]) : std::nullopt;
  if (!watch) {
    return nullptr;
  }
  request->reads_data = *reads_data;
  return start<virt::PlanReading>(
      call,
      [request = *std::move(request)](const auto& connection,
                                      virt::Answer<virt::PlanReading> done) {
        virt::plan_block_pull(connection, request, std::move(done));
      },
      [watch = *watch](napi_env env, virt::PlanReading& reading) {
        return promise_of_walk<virt::TimedPlan>(
            env, [reading = std::move(reading), watch] { return reading(watch); }, &make_plan);
      });
}

napi_value block_job_info(const ConnectionCall& call) {
  using Info = std::optional<virt::BlockJobInfo>;
  auto request = read_disk_request(call.env, call.arguments[0]);
  if (!request) {
    return nullptr;
  }
  if (auto known = virt::try_block_job_info(*call.object->connection, *request)) {
    return answered<Info>(call.env, *std::move(known), &make_info);
  }
  return start<Info>(
      call,
      [request = *std::move(request)](const auto& connection, virt::Answer<Info> done) {
        virt::block_job_info(connection, request, std::move(done));
      },
      &make_info);
}

/// A call without a value.
template <typename Request>
napi_value start_change(const ConnectionCall& call, Request request,
                        void (*change)(const std::shared_ptr<virt::Connect>&, const Request&,
                                       virt::Answer<void>)) {
  return start<Nothing>(
      call,
      [request = std::move(request), change](const auto& connection, virt::Answer<Nothing> done) {
        change(connection, request, [done = std::move(done)](virt::Result<void> result) {
          done(nothing(std::move(result)));
        });
      },
      &convert_nothing);
}

napi_value block_job_set_speed(const ConnectionCall& call) {
  auto request = read_speed(call.env, call.arguments[0]);
  if (!request) {
    return nullptr;
  }
  if (auto done = virt::try_block_job_set_speed(*call.object->connection, *request)) {
    return answered<Nothing>(call.env, nothing(*std::move(done)), &convert_nothing);
  }
  return start_change(call, *std::move(request), &virt::block_job_set_speed);
}

napi_value block_job_resume(const ConnectionCall& call) {
  auto request = read_disk_request(call.env, call.arguments[0]);
  if (!request) {
    return nullptr;
  }
  return start_change(call, *std::move(request), &virt::block_job_resume);
}

napi_value block_job_abort(const ConnectionCall& call) {
  auto request = read_disk_request(call.env, call.arguments[0]);
  if (!request) {
    return nullptr;
  }
  return start_change(call, *std::move(request), &virt::block_job_abort);
}

napi_value reap_jobs(const ConnectionCall& call) {
  auto uuid = read_uuid(call.env, call.arguments[0]);
  if (!uuid) {
    return nullptr;
  }
  using Reaped = std::vector<virt::ReapedJob>;
  return start<Reaped>(
      call,
      [uuid = *std::move(uuid)](const auto& connection, virt::Answer<Reaped> done) {
        virt::reap_jobs(connection, uuid, std::move(done));
      },
      &make_reaped);
}

napi_value close_connection(const ConnectionCall& call) {
  virt::HypervisorDriver& driver = call.object->connection->driver();
  driver.close();
  return promise_of_end(
      call.env, [&driver](auto told) { driver.when_idle(std::move(told)); },
      [weak = std::weak_ptr(call.object->events)] {
        if (const auto events = weak.lock()) {
          events->close();
        }
      });
}

napi_value make_connection_object(napi_env env, std::unique_ptr<ConnectionObject> object) {
  const napi_value uri = make_text(env, object->connection->driver().uri());
  const std::array properties{
      napi_property_descriptor{"uri", nullptr, nullptr, nullptr, nullptr, uri, napi_enumerable,
                               nullptr},
      method_property<ConnectionObject, &list_domains>("listDomains"),
      method_property<ConnectionObject, &lookup_domain>("lookupDomain"),
      method_property<ConnectionObject, &define_xml>("defineXml"),
      method_property<ConnectionObject, &domain_xml>("domainXml"),
      method_property<ConnectionObject, &list_disks>("listDisks"),
      method_property<ConnectionObject, &register_event>("registerEvent"),
      method_property<ConnectionObject, &deregister_event>("deregisterEvent"),
      method_property<ConnectionObject, &block_pull>("blockPull"),
      method_property<ConnectionObject, &give_up>("giveUp"),
      method_property<ConnectionObject, &new_walk>("newWalk"),
      method_property<ConnectionObject, &plan>("plan"),
      method_property<ConnectionObject, &block_job_info>("blockJobInfo"),
      method_property<ConnectionObject, &block_job_set_speed>("blockJobSetSpeed"),
      method_property<ConnectionObject, &block_job_resume>("blockJobResume"),
      method_property<ConnectionObject, &block_job_abort>("blockJobAbort"),
      method_property<ConnectionObject, &reap_jobs>("reapJobs"),
      method_property<ConnectionObject, &close_connection>("close"),
  };
  return wrap(env, std::move(object), properties);
}

/// Passes events on to JavaScript. Runs on the engine's thread.
virt::OnEvent events_to(const std::shared_ptr<Dispatcher>& dispatcher,
                        const std::shared_ptr<EventChannel>& events) {
  return [dispatcher, weak = std::weak_ptr(events)](
             const virt::BlockJobEvent& event, const std::shared_ptr<virt::ConnectState>& state) {
    dispatcher->post([weak, event, state](napi_env env) {
      if (const auto channel = weak.lock()) {
        channel->send(make_event(env, event, *state));
      }
    });
  };
}

/// The property `name` of an object; nullptr if it cannot be read, with an exception pending.
napi_value property_of(napi_env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  return object != nullptr && napi_get_named_property(env, object, name, &value) == napi_ok
             ? value
             : nullptr;
}

/// The values of process.env that name a connection, including empty ones. Absent with an exception
/// pending, since a program may replace process.env with an object of its own.
std::optional<std::vector<std::string>> default_uris(napi_env env) {
  napi_value global = nullptr;
  napi_get_global(env, &global);
  const napi_value variables = property_of(env, property_of(env, global, "process"), "env");
  std::vector<std::string> uris;
  for (const char* const name : virt::kUriVariables) {
    const napi_value value = property_of(env, variables, name);
    if (value == nullptr) {
      return std::nullopt;
    }
    const Napi::Value uri(env, value);
    uris.push_back(uri.IsString() ? uri.As<Napi::String>().Utf8Value() : std::string());
  }
  return uris;
}

}  // namespace

napi_value open_connection(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  std::size_t count = arguments.size();
  napi_get_cb_info(env, info, &count, arguments.data(), nullptr, nullptr);
  auto options = read_connect(env, arguments[0]);
  if (!options || !check_callback(env, arguments[1])) {
    return nullptr;
  }
  const bool is_named = !options->uri || !options->uri->empty();
  auto uris = is_named ? std::vector<std::string>() : default_uris(env);
  if (!uris) {
    return nullptr;
  }
  auto& environment = Environment::of(env);
  auto events = std::make_shared<EventChannel>(env, arguments[1]);
  using Opened = std::shared_ptr<virt::Connect>;
  return promise_of_work<Opened>(
      env,
      [&environment, options = *std::move(options), uris = *std::move(uris),
       on_event = events_to(environment.dispatcher(), events)]() -> virt::Result<Opened> {
        BLOCKPULL_TRY(engine, environment.engine());
        return virt::open_connect(std::move(engine), options, uris, on_event);
      },
      [events](napi_env run_env, Opened& connection) {
        Environment::of(run_env).keep(connection, events);
        auto object = std::make_unique<ConnectionObject>();
        object->connection = connection;
        object->events = events;
        return make_connection_object(run_env, std::move(object));
      });
}

}  // namespace blockpull::napi
