// System A's emote generator: one emote at a time, now and then a burst of several identical ones, to a topic on Kafka.
// Prints how many of each emote it sent, as JSON, once the brokers have them.
// usage: node emote_generator.js BROKERS TOPIC ROUNDS
const { Kafka, Partitioners, logLevel } = require('kafkajs');

const [brokers, topic, rounds] = process.argv.slice(2);
const emotes = ['👉', '💻', '🔥', '👏'];

async function main() {
  const kafka = new Kafka({ clientId: 'emote-generator', brokers: brokers.split(','), logLevel: logLevel.ERROR });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const sent = {};
  for (let round = 0; round < Number(rounds); round += 1) {
    const emote = emotes[Math.floor(Math.random() * emotes.length)];
    const burst = Math.random() < 0.2 ? 5 + Math.floor(Math.random() * 20) : 1;
    const messages = Array.from({ length: burst }, () => ({
      value: JSON.stringify({ emote, timestamp: new Date().toISOString() }),
    }));
    await producer.send({ topic, messages });
    sent[emote] = (sent[emote] || 0) + burst;
  }
  await producer.disconnect();
  console.log(JSON.stringify(sent));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
