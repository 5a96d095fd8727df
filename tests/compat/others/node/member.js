// SPDX-License-Identifier: Apache-2.0
//
// A member of a group that uses kafkajs; arguments and output as those of tests/compat/member.py.
"use strict";
const { Kafka, logLevel } = require("kafkajs");

const [bootstrap, groupId, topic, ...words] = process.argv.slice(2);
const options = Object.fromEntries(words.map((word) => word.split("=", 2)));
const kafka = new Kafka({ clientId: "compat", brokers: [bootstrap], logLevel: logLevel.NOTHING,
    retry: { retries: 20, initialRetryTime: 100 } });
const consumer = kafka.consumer({ groupId, sessionTimeout: Number(options.session), heartbeatInterval: 300,
    maxWaitTimeInMs: 50 });
let last = "";

function assigned(partitions) {
    const now = "assigned " + [...partitions].sort((a, b) => a - b).join(",");
    if (now !== last) {
        console.log(now);
        last = now;
    }
}

async function eachBatch({ batch }) {
    for (const message of batch.messages) {
        console.log(`event ${batch.partition} ${message.offset} ${message.value}`);
    }
    const offset = String(BigInt(batch.lastOffset()) + 1n);
    try {
        await consumer.commitOffsets([{ topic, partition: batch.partition, offset }]);
    } catch (error) {
        console.log("not committed:", error.type || error.name);
    }
}

async function main() {
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => assigned(payload.memberAssignment[topic] || []));
    consumer.on(consumer.events.REBALANCING, () => console.log("revoked"));
    process.on("SIGTERM", () => consumer.disconnect().then(() => process.exit(0)));
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({ autoCommit: false, eachBatch });
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
