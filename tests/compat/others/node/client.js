// SPDX-License-Identifier: Apache-2.0
//
// The kafkajs client of the compatibility tests; arguments as those of the Go one. It knows no consumer outside of a
// group, so it only writes; and "admin BOOTSTRAP TOPIC" goes through a topic's life and prints "ok".
"use strict";
const fs = require("fs");
const { CompressionTypes, Kafka, Partitioners, logLevel } = require("kafkajs");

const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP };

function check(condition, what) {
    if (!condition) {
        throw new Error(what);
    }
}

// What the file of security.go means to this client.
function security() {
    if (!process.env.COMPAT_SECURITY) {
        return {};
    }
    const lines = fs.readFileSync(process.env.COMPAT_SECURITY, "utf8").trim().split("\n");
    const given = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
    const pair = given.pair && fs.readFileSync(given.pair);
    const sasl = given.mechanism && { mechanism: given.mechanism.toLowerCase(), username: given.user,
        password: given.password };
    return { ssl: { ca: fs.readFileSync(given.ca), cert: pair, key: pair }, sasl, retry: { retries: 2 } };
}

async function produce(kafka, topic, codec) {
    const input = fs.readFileSync(0, "utf8");
    const messages = input.split("\n").filter((line) => line !== "").map((line) => {
        const tab = line.indexOf("\t");
        return { key: line.slice(0, tab), value: line.slice(tab + 1), partition: 0 };
    });
    const producer = kafka.producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    await producer.send({ topic, compression: codecs[codec], messages });
    await producer.disconnect();
}

async function admin(kafka, topic) {
    const client = kafka.admin();
    await client.connect();
    check(await client.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders: true }), "created");
    check((await client.listTopics()).includes(topic), "listed");
    await client.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
    check((await client.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length === 3, "grown");
    check((await client.fetchTopicOffsets(topic)).every((part) => part.low === "0" && part.high === "0"), "offsets");
    await client.deleteTopics({ topics: [topic] });
    check(!(await client.listTopics()).includes(topic), "deleted");
    await client.disconnect();
    console.log("ok");
}

const [verb, bootstrap, topic, codec] = process.argv.slice(2);
const kafka = new Kafka({ clientId: "compat", brokers: [bootstrap], logLevel: logLevel.NOTHING,
    ...security() });
(verb === "produce" ? produce(kafka, topic, codec) : admin(kafka, topic)).catch((error) => {
    console.error(error);
    process.exit(1);
});
