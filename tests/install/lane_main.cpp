// A program of somebody else's: a lane whose router is not there, and its end. Prints the version.
#include <beeline/lane.hpp>
#include <iostream>

int main() {
  namespace bee = beeline::link;
  boost::asio::io_context context{1};
  bee::lane_options options;
  options.name = "outside";
  options.routers = {"127.0.0.1:1"}; // nobody listens there
  bee::lane_handlers handlers;
  handlers.on_message = [](bee::client_handle, const bee::message_view&) { return bee::outcome::accepted; };
  bee::lane lane(context, options, handlers);
  boost::system::error_code error;
  lane.attach("client", error);
  bool ended = false;
  lane.async_shutdown(std::chrono::milliseconds(50), [&](boost::system::error_code e, bool) { ended = !e; });
  context.run();
  std::cout << "beeline " << BEELINE_VERSION_MAJOR << '.' << BEELINE_VERSION_MINOR << '.'
            << BEELINE_VERSION_PATCH << '\n';
  return !error && ended && !lane.ready() && !lane.problem().empty() ? 0 : 1;
}
