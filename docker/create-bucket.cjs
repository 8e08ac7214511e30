// node create-bucket.cjs ENDPOINT BUCKET: creates the bucket as soon as the storage answers.

const { CreateBucketCommand, S3Client } = require('@aws-sdk/client-s3')

const [endpoint, Bucket] = process.argv.slice(2)
const credentials = {
  accessKeyId: process.env.LITESTREAM_ACCESS_KEY_ID,
  secretAccessKey: process.env.LITESTREAM_SECRET_ACCESS_KEY,
}
const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials })

async function main() {
  for (;;) {
    try {
      await client.send(new CreateBucketCommand({ Bucket }))
      return console.log(`created the bucket ${Bucket}`)
    } catch (error) {
      if (error.name === 'BucketAlreadyOwnedByYou') return console.log(`the bucket ${Bucket} is there`)
      console.log(`waiting for ${endpoint}: ${error.message}`)
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  }
}

main()
