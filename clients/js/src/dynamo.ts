import { ConflictError } from './errors.js';
import type { Store, StoredRecord } from './store.js';

/** What a store needs of the class DynamoDB of @aws-sdk/client-dynamodb. */
export interface DynamoClient {
  getItem(
    input: { TableName: string; Key: { id: { S: string } }; ConsistentRead: true },
    options?: { abortSignal?: AbortSignal },
  ): Promise<{ Item?: Record<string, { N?: string; B?: Uint8Array } | undefined> | undefined }>;
  updateItem(
    input: {
      TableName: string;
      Key: { id: { S: string } };
      UpdateExpression: string;
      ConditionExpression: string;
      ExpressionAttributeNames: Record<string, string>;
      ExpressionAttributeValues: Record<string, { N: string } | { B: Uint8Array }>;
    },
    options?: { abortSignal?: AbortSignal },
  ): Promise<unknown>;
}

/**
 * A store in one item of a DynamoDB table, for any number of functions, containers and machines. Its record is that of
 * tokensource/dynamostore for Go. The table has the partition key "id", a string, and no sort key. It must be written
 * to in one region only. An item holds the tokens in the clear.
 */
export class DynamoStore implements Store {
  readonly #db: DynamoClient;
  readonly #table: string;
  readonly #id: string;

  /** @param id Each session needs its own, such as the user's id. */
  constructor(db: DynamoClient, table: string, id: string) {
    this.#db = db;
    this.#table = table;
    this.#id = id;
  }

  async load(signal: AbortSignal): Promise<StoredRecord> {
    const { Item } = await this.#db.getItem({ TableName: this.#table, Key: { id: { S: this.#id } }, ConsistentRead: true }, { abortSignal: signal });
    const version = Item?.version?.N;
    const data = Item?.record?.B;
    if (version === undefined && data === undefined) return { version: 0, data: '' };
    if (version === undefined || data === undefined) throw new Error(`the item ${JSON.stringify(this.#id)} lacks its version or its record`);
    return { version: Number(version), data: new TextDecoder().decode(data) };
  }

  async save(record: StoredRecord, signal: AbortSignal): Promise<void> {
    const isFirst = record.version === 1;
    try {
      await this.#db.updateItem(
        {
          TableName: this.#table,
          Key: { id: { S: this.#id } },
          UpdateExpression: 'SET #version = :version, #record = :record',
          ConditionExpression: isFirst ? 'attribute_not_exists(#version)' : '#version = :before',
          ExpressionAttributeNames: { '#version': 'version', '#record': 'record' },
          ExpressionAttributeValues: {
            ':version': { N: String(record.version) },
            ':record': { B: new TextEncoder().encode(record.data) },
            ...(!isFirst && { ':before': { N: String(record.version - 1) } }),
          },
        },
        { abortSignal: signal },
      );
    } catch (error) {
      if (error instanceof Error && error.name === 'ConditionalCheckFailedException') throw new ConflictError();
      throw error;
    }
  }
}
