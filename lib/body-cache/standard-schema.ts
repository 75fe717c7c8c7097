import { described } from '../shared/described.js'
import { wrongOption } from '../shared/error-page.js'
import { sluicewayError } from '../shared/errors.js'

/**
 * The part of Standard Schema 1 that this package uses; zod, valibot, arktype and others implement it.
 * @see https://standardschema.dev
 */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly unknown[] }

/**
 * Returns the schema's output for `value`. Throws 400 'ERR_SLUICEWAY_BODY_INVALID' with the schema's `issues`, and
 * TypeError if `schema` is not a schema.
 */
export async function validate<Output>(schema: StandardSchema<Output>, value: unknown): Promise<Output> {
  const standard = (schema as Partial<StandardSchema<Output>> | null)?.['~standard']
  if (typeof standard?.validate !== 'function') {
    throw wrongOption(
      `req.bodyCache: schema must be a Standard Schema, such as one of zod, valibot or arktype, got ${described(schema)}`,
    )
  }
  const result = await standard.validate(value)
  if (result.issues === undefined) return result.value
  throw sluicewayError('ERR_SLUICEWAY_BODY_INVALID', { issues: result.issues })
}
