#include "node/recover/recover.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "node/node_store.h"
#include "node/peers/forming_file.h"
#include "raft/storage/rocksdb_store.h"

namespace holdfast::node {
namespace {

TEST(Position, IsReadAsItIsWritten) {
  Position position;
  position.node = NodeId{3};
  position.ends[kControlGroup] = {7, 120};
  position.ends[GroupId{12}] = {6, 99};
  EXPECT_EQ(position.ToText(), "node 3: 0:7/120 12:6/99");
  const absl::StatusOr<Position> read = Position::FromText("position: " + position.ToText());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->node, NodeId{3});
  EXPECT_EQ(read->ends, position.ends);
  for (const char* text : {"", "node", "node x: 0:1/1", "node 3:", "node 3: 0:7", "node 3: 0:7/1 x",
                           "node 3: 0:7/99999999999999999999999", "node 3: 0:7/1\n"}) {
    EXPECT_FALSE(Position::FromText(text).ok()) << text;
  }
}

TEST(Position, ALaterTermIsLongerThanMoreEntries) {
  EXPECT_GT((LogEnd{7, 10}), (LogEnd{6, 99}));
  EXPECT_GT((LogEnd{7, 11}), (LogEnd{7, 10}));
}

class RecoverTest : public testing::Test {
 protected:
  RecoverTest() {
    std::string pattern = testing::TempDir() + "/recoverXXXXXX";
    settings_.data_dir = mkdtemp(pattern.data());
    settings_.node_id = NodeId{1};
    settings_.cluster.emplace();
    settings_.cluster->cluster_id = "trial";
    absl::StatusOr<OpenedStore> opened =
        OpenNodeStore(settings_, clock_, "trial", []() -> absl::StatusOr<FirstNodes> {
          return FirstNodes{"trial", {NodeId{1}, NodeId{2}, NodeId{3}}};
        });
    EXPECT_TRUE(opened.ok()) << opened.status();
    FormingRecord record{std::string(32, 'a'), {}, true, ""};
    EXPECT_TRUE(WriteFormingRecord(settings_.data_dir, record).ok());
  }
  ~RecoverTest() override { std::filesystem::remove_all(settings_.data_dir); }

  int Run(const RecoverOptions& options, const std::string& typed = "") {
    std::istringstream in(typed);
    out_.str("");
    err_.str("");
    return RunRecover(settings_, options, {in, out_, err_});
  }
  std::vector<NodeId> Voters() {
    const auto store = raft::OpenStore(NodeStoreOptions(settings_, clock_));
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? (*store)->LoadGroup(GroupId{5})->conf_state.voters : std::vector<NodeId>();
  }
  std::string Incarnation() { return (*ReadFormingRecord(settings_.data_dir))->incarnation; }

  SystemClock clock_;
  NodeSettings settings_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(RecoverTest, ShowsWhatItHasAndChangesNothing) {
  RecoverOptions options;
  options.others = {"node 3: 0:0/0 1:1/1"};
  EXPECT_EQ(Run(options), 0) << err_.str();
  EXPECT_NE(out_.str().find("node 1 of cluster trial; the other members: 2, 3\n"),
            std::string::npos)
      << out_.str();
  EXPECT_NE(out_.str().find("position: node 1: 0:0/0 1:0/0"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find("group 1: node 3 has the longer log (1/1, node 1 has 0/0)\n"),
            std::string::npos)
      << out_.str();
  EXPECT_NE(out_.str().find("beside node 3: longer in 0 groups here, in 1 there, equal in 12\n"),
            std::string::npos)
      << out_.str();
  EXPECT_EQ(Voters().size(), 3u);
}

TEST_F(RecoverTest, AsksForTheClustersId) {
  RecoverOptions options;
  options.accept_loss = true;
  EXPECT_EQ(Run(options, "yes\n"), 1);
  EXPECT_NE(out_.str().find("LOST FOR GOOD"), std::string::npos);
  EXPECT_NE(err_.str().find("nothing was changed"), std::string::npos) << err_.str();
  EXPECT_EQ(Run(options, ""), 1);
  options.yes_accept_loss = "other";
  EXPECT_EQ(Run(options, "trial\n"), 1);
  EXPECT_EQ(Voters().size(), 3u);
  EXPECT_EQ(Incarnation(), "");
}

TEST_F(RecoverTest, GoesOnAloneInANewIncarnation) {
  RecoverOptions options;
  options.accept_loss = true;
  ASSERT_EQ(Run(options, "trial\n"), 0) << err_.str();
  EXPECT_EQ(Voters(), std::vector<NodeId>{NodeId{1}});
  EXPECT_EQ(Incarnation().size(), 32u);
  EXPECT_EQ(Run(options, "trial\n"), 1);
  EXPECT_NE(err_.str().find("only voter of every group"), std::string::npos) << err_.str();
}

TEST_F(RecoverTest, RefusesAStoreThatWasFoundToHaveForgottenSomething) {
  std::ofstream(settings_.data_dir + "/amnesiac") << "group 3 ends too early";
  RecoverOptions options;
  options.accept_loss = true;
  EXPECT_EQ(Run(options, "trial\n"), 1);
  EXPECT_NE(out_.str().find("LOST ACKNOWLEDGED DATA"), std::string::npos) << out_.str();
  EXPECT_NE(err_.str().find("group 3 ends too early"), std::string::npos) << err_.str();
  EXPECT_EQ(Voters().size(), 3u);
  EXPECT_EQ(Incarnation(), "");
}

TEST_F(RecoverTest, RefusesWhatIsNoSurvivor) {
  RecoverOptions options;
  options.others = {"nonsense"};
  EXPECT_EQ(Run(options), 2);
  settings_.node_id = NodeId{2};
  EXPECT_EQ(Run({}), 1);
  EXPECT_NE(err_.str().find("belongs to node 1"), std::string::npos) << err_.str();
  settings_.node_id = NodeId{1};
  {
    const auto in_use = raft::OpenStore(NodeStoreOptions(settings_, clock_));
    EXPECT_EQ(Run({}), 1);
    EXPECT_NE(err_.str().find("must be stopped"), std::string::npos) << err_.str();
  }
  settings_.data_dir += "/nothing";
  EXPECT_EQ(Run({}), 1);
  settings_.cluster.reset();
  EXPECT_EQ(Run({}), 1);
  EXPECT_NE(err_.str().find("alone"), std::string::npos) << err_.str();
}

}  // namespace
}  // namespace holdfast::node
