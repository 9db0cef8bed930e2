// The store contract on RocksDB.
#include "tests/storage/rocksdb_world.h"
#include "tests/storage/store_contract.h"

namespace holdfast::raft {

INSTANTIATE_TEST_SUITE_P(RocksDb, StoreContractTest, testing::Values(&MakeRocksDbWorld));
INSTANTIATE_TEST_SUITE_P(RocksDb, StoreInstallTest, testing::Values(&MakeRocksDbWorld));

}  // namespace holdfast::raft
