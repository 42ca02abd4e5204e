// A consumer in Node, as systems A and B have them: prints each value of a topic from its beginning on, one a line, until
// it is killed.
// usage: node topic_reader.js BROKERS GROUP TOPIC...
const { Kafka, logLevel } = require('kafkajs');

const [brokers, groupId, ...topics] = process.argv.slice(2);

async function main() {
  const kafka = new Kafka({ clientId: 'topic-reader', brokers: brokers.split(','), logLevel: logLevel.ERROR });
  const consumer = kafka.consumer({ groupId });
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ topic, message }) => console.log(`${topic} ${message.value.toString()}`),
  });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
