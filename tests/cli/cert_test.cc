// `holdfast cert`, on real files and without any node.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "ops/cli/cli.h"

namespace holdfast {
namespace {

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

class CertTest : public testing::Test {
 protected:
  CertTest() : directory_(testing::TempDir() + "/cert-XXXXXX") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    setenv("HOLDFAST_SOCKET", (directory_ + "/no-node").c_str(), 1);
  }
  ~CertTest() override { std::filesystem::remove_all(directory_); }

  Ran Run(const std::vector<std::string>& arguments, const std::string& input = "") {
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    Ran ran;
    ran.code = cli::RunCli(arguments, {in, out, err});
    ran.out = out.str();
    ran.err = err.str();
    return ran;
  }
  Ran MakeAuthority() {
    return Run({"cert", "ca", "--out", In("ca"), "--cluster-id", "mail.example.com"});
  }
  Ran MakeNode(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "cert",  "node",     "--ca", In("ca"), "--node", "3", "--host", "mx.example.com,192.0.2.1",
        "--out", In("node3")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }

  std::string In(const std::string& name) { return directory_ + "/" + name; }
  std::string Content(const std::string& name) {
    std::ifstream in(In(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  mode_t Mode(const std::string& name) {
    struct stat facts {};
    EXPECT_EQ(stat(In(name).c_str(), &facts), 0) << name;
    return facts.st_mode & 07777;
  }

  std::string directory_;
};

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(CertTest, AuthorityAndNodeAreMadeAndShown) {
  const Ran authority = MakeAuthority();
  ASSERT_EQ(authority.code, 0) << authority.err;
  EXPECT_TRUE(Has(authority.out, "authority of cluster mail.example.com, until ")) << authority.out;
  EXPECT_TRUE(Has(authority.out, "Next: holdfast cert node --ca " + In("ca"))) << authority.out;
  const Ran node = MakeNode();
  ASSERT_EQ(node.code, 0) << node.err;
  EXPECT_TRUE(Has(node.out, "node 3 of cluster mail.example.com, until ")) << node.out;
  EXPECT_EQ(Content("node3/ca.pem"), Content("ca/ca.pem"));
  EXPECT_FALSE(std::filesystem::exists(In("node3/ca.key")));
  const Ran shown = Run({"cert", "show", In("node3/node3.pem")});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_TRUE(Has(shown.out, "KIND  NODE  CLUSTER           HOSTS                     ENDS"))
      << shown.out;
  EXPECT_TRUE(Has(shown.out, "node     3  mail.example.com  mx.example.com,192.0.2.1  "))
      << shown.out;
  EXPECT_TRUE(Has(shown.out, " 729  EC P-256  CN=node 3,O=mail.example.com")) << shown.out;
}

TEST_F(CertTest, JsonNamesWhatWasMade) {
  const Ran drawn = Run({"cert", "ca", "--out", In("ca"), "--output", "json"});
  EXPECT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_TRUE(Has(drawn.out, "{\"certificates\":[{\"kind\":\"authority\",\"cluster_id\":\""));
  EXPECT_TRUE(Has(drawn.out, "\"key_file\":\"" + In("ca/ca.key") + "\"")) << drawn.out;
  const Ran shown = Run({"cert", "show", "-", "--output", "json"}, Content("ca/ca.pem"));
  EXPECT_EQ(shown.code, 0) << shown.err;
  const size_t id = drawn.out.find("\"cluster_id\":");
  ASSERT_NE(id, std::string::npos);
  const std::string cluster = drawn.out.substr(id, 14 + 32);  // "cluster_id":"<32 digits>
  EXPECT_TRUE(Has(shown.out, cluster + "\",")) << drawn.out << shown.out;
  EXPECT_TRUE(Has(shown.out, "\"days_left\":\"3649\"")) << shown.out;
}

TEST_F(CertTest, KeysAreForTheOwnerAloneWhateverTheUmask) {
  const mode_t before = umask(0);
  MakeAuthority();
  MakeNode();
  umask(before);
  EXPECT_EQ(Mode("ca/ca.key"), 0600u);
  EXPECT_EQ(Mode("node3/node3.key"), 0600u);
  EXPECT_EQ(Mode("node3/node3.pem"), 0644u);
  EXPECT_EQ(Mode("ca"), 0700u);
}

TEST_F(CertTest, NothingIsOverwrittenUnlessForced) {
  ASSERT_EQ(MakeAuthority().code, 0);
  ASSERT_EQ(MakeNode().code, 0);
  const std::string key = Content("ca/ca.key");
  const Ran authority = MakeAuthority();
  EXPECT_EQ(authority.code, 1);
  EXPECT_EQ(authority.err, "holdfast: " + In("ca/ca.key") +
                               " is there already; give another --out, or --force to replace it\n");
  EXPECT_EQ(Content("ca/ca.key"), key);
  const std::string node_key = Content("node3/node3.key");
  EXPECT_EQ(MakeNode().code, 1);
  EXPECT_EQ(Content("node3/node3.key"), node_key);
  // A certificate alone is enough to refuse.
  std::filesystem::remove(In("node3/node3.key"));
  EXPECT_EQ(MakeNode().code, 1);
  EXPECT_FALSE(std::filesystem::exists(In("node3/node3.key")));
  EXPECT_EQ(MakeNode({"--force"}).code, 0);
  EXPECT_NE(Content("node3/node3.key"), node_key);
}

TEST_F(CertTest, AnAuthorityFileWithTwoStays) {
  ASSERT_EQ(MakeAuthority().code, 0);
  ASSERT_EQ(MakeNode().code, 0);
  ASSERT_EQ(Run({"cert", "ca", "--out", In("new"), "--cluster-id", "mail.example.com"}).code, 0);
  const std::string both = Content("ca/ca.pem") + Content("new/ca.pem");
  std::ofstream(In("node3/ca.pem")) << both;
  const Ran renewed = Run({"cert", "node", "--ca", In("new"), "--node", "3", "--host",
                           "mx.example.com", "--out", In("node3"), "--force"});
  EXPECT_EQ(renewed.code, 0) << renewed.err;
  EXPECT_EQ(Content("node3/ca.pem"), both);
  std::ofstream(In("node3/ca.pem")) << Content("ca/ca.pem");
  const Ran foreign = Run({"cert", "node", "--ca", In("new"), "--node", "4", "--host",
                           "mx.example.com", "--out", In("node3")});
  EXPECT_EQ(foreign.code, 1);
  EXPECT_EQ(foreign.err, "holdfast: " + In("node3/ca.pem") +
                             " is of another authority; give another --out, or --force to replace "
                             "it\n");
}

TEST_F(CertTest, MistakesAreOneLineWithWhatToDo) {
  const Ran no_authority = MakeNode();
  EXPECT_EQ(no_authority.code, 1);
  EXPECT_EQ(no_authority.err,
            "holdfast: cannot read " + In("ca/ca.pem") + ": No such file or directory\n");
  ASSERT_EQ(MakeAuthority().code, 0);
  EXPECT_EQ(MakeNode({"--host", "mx_1"}).err,
            "holdfast: no certificate by " + In("ca") +
                ": mx_1 is neither a DNS name nor an IP address (without brackets and port)\n");
  const Ran long_lived = MakeNode({"--days", "3651"});
  EXPECT_EQ(long_lived.code, 1);
  EXPECT_TRUE(long_lived.err.starts_with(
      "holdfast: --days 3651 is too many, give less or make a new one with `holdfast cert ca`: the "
      "authority itself ends on 20"))
      << long_lived.err;
  EXPECT_FALSE(std::filesystem::exists(In("node3")));
  EXPECT_EQ(Run({"cert", "ca", "--out", In("x"), "--cluster-id", "a/b"}).err,
            "holdfast: the cluster id must be 1 to 64 of A-Z a-z 0-9 - _ .\n");
  EXPECT_EQ(Run({"cert", "show", In("ca/ca.key")}).err,
            "holdfast: no certificates in " + In("ca/ca.key") +
                ": it holds a private key and no certificate\n");
  EXPECT_EQ(MakeNode({"--node", "0"}).code, 2);
  EXPECT_EQ(Run({"cert", "ca"}).code, 2);
  EXPECT_EQ(Run({"cert"}).code, 2);
}

TEST_F(CertTest, HelpHasExamples) {
  for (const char* verb : {"ca", "node", "show"}) {
    const Ran ran = Run({"cert", verb, "--help"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_TRUE(Has(ran.out, std::string("Examples:\n  holdfast cert ") + verb)) << ran.out;
  }
  EXPECT_TRUE(Has(Run({"cert", "--help"}).out, "Examples:\n  holdfast cert ca"));
}

}  // namespace
}  // namespace holdfast
