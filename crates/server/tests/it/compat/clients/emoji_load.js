// System B's load script: 300 happy and 200 sad emojis to a topic on Kafka, through a queue that is sent every 500 ms.
// usage: node emoji_load.js BROKERS TOPIC
const { Kafka, Partitioners, logLevel } = require('kafkajs');

const [brokers, topic] = process.argv.slice(2);
const QUEUE_MS = 500;

async function main() {
  const kafka = new Kafka({ clientId: 'emoji-load', brokers: brokers.split(','), logLevel: logLevel.ERROR });
  const producer = kafka.producer({ createPartitioner: Partitioners.LegacyPartitioner });
  await producer.connect();
  const emojis = [...Array(300).fill('happy'), ...Array(200).fill('sad')];
  while (emojis.length > 0) {
    const queue = emojis.splice(0, 125).map((emoji) => ({ key: emoji, value: JSON.stringify({ emoji }) }));
    await producer.send({ topic, messages: queue });
    await new Promise((resolve) => setTimeout(resolve, QUEUE_MS));
  }
  await producer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
