// cgroup.cpp — reads quotas where the kernel shows them.
//
// A line of /proc/self/cgroup tells the process's path within a hierarchy: "0::/path" (version 2, one
// hierarchy) and "4:cpu,cpuacct:/path" (version 1, one for each set of controllers). A line of
// /proc/self/mountinfo tells which part of a hierarchy is to be seen at which folder; in a container it is
// often its own part alone. Source: cgroups(7), proc(5).
#include "cpu/cgroup.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

namespace fc::cpu {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// CPUs that the quota of one cgroup's folder amounts to.
double quota_of(const std::string& folder) {
  double quota = -1, period = 0;
  if (std::ifstream v2(folder + "/cpu.max"); v2) {
    v2 >> quota >> period;  // "max 100000": no quota is read
  } else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;  // -1: none
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : kInfinity;
}

bool lists(const std::string& words, const std::string& word) {
  return ("," + words + ",").find("," + word + ",") != std::string::npos;
}

struct Mount {
  std::string part;  // of the hierarchy
  std::string folder;
};

// Of the hierarchies that can have quotas: version 2's, or version 1's of the controller cpu.
std::vector<Mount> mounts(const std::string& root, bool v2) {
  std::vector<Mount> found;
  std::ifstream lines(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, parent, device, part, folder, word, type, source, options;
    words >> id >> parent >> device >> part >> folder;
    while (words >> word && word != "-") continue;
    words >> type >> source >> options;
    const bool wanted = v2 ? type == "cgroup2" : type == "cgroup" && lists(options, "cpu");
    if (wanted) found.push_back({part == "/" ? "" : part, root + folder});
  }
  return found;
}

// The least quota of a cgroup and of all above it that the mount shows. A path outside of it, as a container
// may be told, is that of the mount itself.
double least_quota(const Mount& mount, const std::string& path) {
  double cpus = quota_of(mount.folder);
  const bool inside = path.compare(0, mount.part.size() + 1, mount.part + "/") == 0;
  for (std::string below = inside ? path.substr(mount.part.size()) : ""; below.size() > 1;
       below.resize(below.rfind('/'))) {
    cpus = std::min(cpus, quota_of(mount.folder + below));
  }
  return cpus;
}

}  // namespace

double cgroup_cpus(const std::string& root) {
  double cpus = kInfinity;
  std::ifstream lines(root + "/proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && !lists(controllers, "cpu")) continue;
    for (const Mount& mount : mounts(root, v2)) {
      cpus = std::min(cpus, least_quota(mount, line.substr(second + 1)));
    }
  }
  return cpus;
}

}  // namespace fc::cpu
