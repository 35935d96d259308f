// One address for Kinesis, which one emulator has, and for DynamoDB and S3, which another one has.
const http = require("node:http");

const [port, kinesis, others] = process.argv.slice(2).map(Number);

http
  .createServer((request, answer) => {
    const health = request.url === "/_localstack/health";
    const target = request.headers["x-amz-target"] ?? "";
    const { method, headers } = request;
    const path = health ? "/_ministack/health" : request.url;
    const to = target.startsWith("Kinesis_") ? kinesis : others;
    const onward = http.request({ host: "127.0.0.1", port: to, method, path, headers }, (from) => {
      answer.writeHead(from.statusCode, from.headers);
      from.pipe(answer);
    });
    onward.on("error", () => answer.writeHead(502).end());
    request.pipe(onward);
  })
  .listen(port);
