import assert from "node:assert/strict";
import { test } from "node:test";
import type { CloudEvent } from "../src/api/types";
import { factsOf, inWords, valuesOf } from "../src/model/facts";
import { rowOf } from "../src/model/row";

const common = {
  Key: 7, ChainId: 5, CreatedTime: "2026-11-22T09:00:00Z", UserName: "LAB\\amara", ComputeResource: null, Net: null, FullFormattedMessage: "It happened", ChangeTag: "",
  Datacenter: { Name: "DC-West", Datacenter: { Type: "Datacenter", Value: "datacenter-1" } },
  Host: { Name: "esx-11", Host: { Type: "HostSystem", Value: "host-1" } },
  Vm: { Name: "web-01", Vm: { Type: "VirtualMachine", Value: "vm-1" } },
  Ds: { Name: "nvme-01", Datastore: { Type: "Datastore", Value: "datastore-1" } },
  Dvs: { Name: "dvs-1", Dvs: { Type: "DistributedVirtualSwitch", Value: "dvs-1" } },
};

function event(data: Record<string, unknown>): CloudEvent {
  return {
    specversion: "1.0", id: "7", source: "https://vc1/sdk", type: "vmware.vsphere.VmPoweredOnEvent.v0", time: common.CreatedTime, eventclass: "event", severity: "info",
    data: { ...common, ...data },
  };
}

test("what can be filtered by is named as the API names it, without what is empty", () => {
  const e = event({});
  const values = valuesOf(rowOf(e, "vc1"), e).map((v) => `${v.field}=${v.value}`);
  assert.deepEqual(values, [
    "severity=info", "type=VmPoweredOnEvent", "vm=web-01", "host=esx-11", "datacenter=DC-West", "datastore=nvme-01", "network=dvs-1", "user=LAB\\amara", "vcenter=vc1", "chain=5",
  ]);
  assert.deepEqual(valuesOf(rowOf(e, "vc1"), null).map((v) => v.field).includes("datastore"), false);
});

test("facts are what else an event says", () => {
  const e = event({ IpAddress: "192.0.2.7", Locale: "", Count: 0, Template: false, Forced: true, When: "0001-01-01T00:00:00Z", Message: "It happened", Nothing: null, Tags: ["a", "b"], None: [] });
  assert.deepEqual(factsOf(e), [{ title: "", facts: [{ name: "IP address", value: "192.0.2.7" }, { name: "Forced", value: "yes" }, { name: "Tags", value: "a, b" }] }]);
});

test("references are the names of what they refer to", () => {
  const e = event({ DestHost: { Name: "esx-12", Host: { Type: "HostSystem", Value: "host-2" } }, ManagedObject: { Type: "HostSystem", Value: "host-3" } });
  assert.deepEqual(factsOf(e)[0]?.facts, [{ name: "Destination host", value: "esx-12" }, { name: "Managed object", value: "host-3" }]);
});

test("arguments are rows of their own, zeros too", () => {
  const e = event({ Arguments: [{ Key: "name", Value: "esx-13" }, { Key: "attempt", Value: 2 }, { Key: "left", Value: 0 }, { Key: "no", Value: "" }] });
  assert.deepEqual(factsOf(e), [{ title: "Arguments", facts: [{ name: "name", value: "esx-13" }, { name: "attempt", value: "2" }, { name: "left", value: "0" }] }]);
});

test("a fault is its message, and one level of what is in it", () => {
  const e = event({ Reason: { Fault: { Host: { Name: "esx-12" }, Deep: { Deeper: "no" }, Code: 5 }, LocalizedMessage: "The hosts lost each other" } });
  assert.deepEqual(factsOf(e), [
    { title: "", facts: [{ name: "Reason", value: "The hosts lost each other" }] },
    { title: "Reason", facts: [{ name: "Host", value: "esx-12" }, { name: "Code", value: "5" }] },
  ]);
});

test("of other objects one level is shown", () => {
  const e = event({ Info: { Name: "RelocateVM_Task", Description: { Key: "x", Message: "Relocate" }, Entity: { Type: "VirtualMachine", Value: "vm-1" }, Progress: 0, Reason: { UserName: "a" } } });
  assert.deepEqual(factsOf(e), [{ title: "Info", facts: [{ name: "Name", value: "RelocateVM_Task" }, { name: "Description", value: "Relocate" }, { name: "Entity", value: "vm-1" }] }]);
});

test("members are named in words", () => {
  for (const [member, words] of [["UserAgent", "User agent"], ["IpAddress", "IP address"], ["SessionId", "Session ID"], ["NumCPUs", "Num CPUs"], ["MemoryMB", "Memory MB"], ["From", "From"]] as const) {
    assert.equal(inWords(member), words);
  }
});
